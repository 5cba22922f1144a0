import numpy as np
import pytest

from tests.walks.conftest import City
from walks.map.geometry import polyline_length
from walks.routes.attributes import ATTRIBUTES, NAMES


def test_lengths_are_those_of_the_geometry(city: City) -> None:
    km = [polyline_length(line) / 1000.0 for line in city.facts.lines]
    assert city.facts.column("length_km") == pytest.approx(km)


def test_surface_shares_sum_to_1(city: City) -> None:
    total = sum(city.facts.column(name) for name in NAMES if name.startswith("surface_"))
    assert total == pytest.approx(1.0)


def test_values_are_finite_and_within_their_scales(city: City) -> None:
    normalised = city.facts.normalised()
    assert normalised.dtype == np.float32
    assert normalised.shape == (len(city.routes), len(ATTRIBUTES))
    assert np.isfinite(normalised).all()
    assert normalised.min() >= 0.0
    assert normalised.max() <= 3.0
    assert (normalised.std(axis=0) > 0.01).all(), "a column says nothing"


def test_places_are_counted_once_however_many_edges_pass_them(city: City) -> None:
    row = int(np.argmax(city.facts.column("places_cafe")))
    span = slice(city.routes.offsets[row], city.routes.offsets[row + 1])
    passed = set(city.around.place_near[city.routes.edges[span]].nonzero()[1].tolist())
    cafes = sum(city.around.places[place].category == "cafe" for place in passed)
    assert city.facts.column("places_cafe")[row] == cafes


def test_loops_enclose_ground_and_end_where_they_start(city: City) -> None:
    loop = city.facts.column("loop") == 1.0
    assert city.facts.column("straightness")[loop] == pytest.approx(0.0, abs=1e-9)
    assert np.median(city.facts.column("roundness")[loop]) > 0.25
