from pathlib import Path

import numpy as np
import pytest

from tests.walks.conftest import City
from tests.walks.maps import Nodes, grid_map, write_osm
from walks.errors import BadMapError
from walks.map.osm import is_walkable, read_map
from walks.sources import MAP, locate


@pytest.mark.parametrize(
    ("tags", "walkable"),
    [
        ({"highway": "footway"}, True),
        ({"highway": "steps"}, True),
        ({"highway": "primary"}, True),
        ({"highway": "motorway"}, False),
        ({"highway": "construction"}, False),
        ({"building": "yes"}, False),
        ({"highway": "service", "access": "private"}, False),
        ({"highway": "service", "access": "private", "foot": "yes"}, True),
        ({"highway": "footway", "foot": "no"}, False),
        ({"highway": "footway", "indoor": "yes"}, False),
        ({"highway": "footway", "tunnel": "yes", "layer": "-1"}, True),
        ({"highway": "service", "tunnel": "yes"}, False),
        ({"highway": "footway", "layer": "-3"}, False),
        ({"highway": "residential", "sidewalk": "separate"}, False),
    ],
)
def test_tags_decide_whether_a_way_is_walkable(tags: dict[str, str], walkable: bool) -> None:
    assert is_walkable(tags) is walkable


def test_real_map_has_the_ways_places_and_areas_that_routes_need(city: City) -> None:
    raw = city.raw
    assert len(raw.ways) > 2000
    assert {"Esplanadinpuisto", "Kaisaniemen puisto", "Senaatintori"} <= {area.name for area in raw.areas}
    assert "Kompassitaso" not in {area.name for area in raw.areas}  # an underground hall
    assert len(raw.trees) > 500
    assert sum(place.category == "cafe" for place in raw.places) > 50
    assert all(not np.isnan(line).any() for line in raw.shorelines)


def test_closes_an_area_that_the_edge_of_the_extract_cuts(city: City) -> None:
    assert "Töölönlahti" in {area.name for area in city.raw.areas}


def test_rejects_a_truncated_pbf_and_names_the_remedy(tmp_path: Path) -> None:
    whole = locate(MAP).read_bytes()
    broken = tmp_path / "half.osm.pbf"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadMapError, match=r"half\.osm\.pbf.*install its wheel again"):
        read_map(broken)


def test_rejects_an_empty_or_missing_file(tmp_path: Path) -> None:
    (tmp_path / "empty.osm.pbf").write_bytes(b"")
    for name in ("empty.osm.pbf", "absent.osm.pbf"):
        with pytest.raises(BadMapError, match=name):
            read_map(tmp_path / name)


def test_rejects_a_map_without_a_walkable_way(tmp_path: Path) -> None:
    nodes: Nodes = {1: (60.17, 24.94, {}), 2: (60.171, 24.94, {})}
    path = write_osm(tmp_path / "motorway.osm", nodes, [([1, 2], {"highway": "motorway"})])
    with pytest.raises(BadMapError, match="no walkable way among 2 nodes"):
        read_map(path)


def test_nodes_outside_the_extract_are_marked(tmp_path: Path) -> None:
    path = grid_map(tmp_path / "grid.osm", 3, 3, extra=[([1, 999, 5], {"highway": "footway"})])
    assert read_map(path).ways[-1].nodes.tolist() == [1, -1, 5]
