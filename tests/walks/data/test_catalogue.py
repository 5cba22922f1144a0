import json

import numpy as np
import pytest

from models.features.catalogue import Catalogue
from models.features.overlay import Overlay
from tests.walks.conftest import City
from walks.data.catalogue import route_ids
from walks.data.features import FEATURES
from walks.map.geometry import haversine_m
from walks.routes.attributes import NAMES
from walks.world import World


@pytest.fixture(scope="module")
def catalogue(world: World) -> Catalogue:
    return Catalogue.open(world.catalogue)


def test_columns_are_those_of_the_declared_item_features(catalogue: Catalogue) -> None:
    assert catalogue.manifest.feature_hash == FEATURES.content_hash
    assert catalogue.manifest.position_column == "start"
    assert "OpenStreetMap" in catalogue.manifest.attribution
    for feature in FEATURES.group("item"):
        column = catalogue.columns[feature.name]
        assert column.shape == (len(catalogue), *feature.shape)
        assert column.dtype == feature.dtype
        assert np.isfinite(column).all()


def test_every_route_has_its_own_geojson_feature(catalogue: Catalogue) -> None:
    names, lines = set(), set()
    for row in range(len(catalogue)):
        feature = json.loads(catalogue.details(row))
        properties = feature["properties"]
        assert feature["type"] == "Feature"
        assert feature["id"] == catalogue.ids[row]
        assert properties["attribution"] == "© OpenStreetMap contributors, ODbL 1.0"
        lon, lat = np.array(feature["geometry"]["coordinates"]).T
        line = np.column_stack([lat, lon])
        assert haversine_m(line[:-1], line[1:]).sum() == pytest.approx(properties["length_m"], rel=2e-3)
        assert 800.0 <= properties["length_m"] <= 6000.0
        assert line[0] == pytest.approx(catalogue.columns["start"][row], abs=1e-5)
        assert properties["start_cell"] == catalogue.columns["cell"][row]
        assert sum(properties["surface"].values()) == pytest.approx(1.0, abs=0.01)
        assert catalogue.columns["attributes"][row, NAMES.index("park")] == pytest.approx(
            properties["park"], abs=1e-3
        )
        assert (lat[0] == lat[-1] and lon[0] == lon[-1]) == properties["loop"]
        names.add(properties["name"])
        lines.add(feature["geometry"]["coordinates"].__repr__())
    assert len(names) == len(lines) == len(catalogue)


def test_ids_follow_from_the_geometry_alone(city: City) -> None:
    latlon = [city.graph.projection.to_latlon(line) for line in city.facts.lines]
    ids = route_ids(latlon)
    assert len(set(ids)) == len(ids)
    assert route_ids(latlon[::-1]) == ids[::-1]
    assert route_ids([latlon[0] + 1e-9]) == ids[:1]
    assert all(item.startswith("helsinki-") and len(item) == 19 for item in ids)


def test_cells_are_rows_of_the_overlay(catalogue: Catalogue, world: World) -> None:
    cells = Overlay.open(world.overlay, FEATURES).cell_count
    assert catalogue.columns["cell"].min() >= 0
    assert catalogue.columns["cell"].max() < cells


def test_similar_routes_have_similar_vectors(catalogue: Catalogue) -> None:
    vectors, attributes = catalogue.columns["embedding"], catalogue.columns["attributes"]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-4)
    pairs = np.triu_indices(len(vectors), 1)
    unlike = np.linalg.norm(attributes[:, None] - attributes, axis=2)[pairs]
    assert np.corrcoef((vectors @ vectors.T)[pairs], unlike)[0, 1] < -0.15
