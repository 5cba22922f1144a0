import numpy as np

from tests.walks.conftest import City
from walks.routes.routes import concatenate


def test_take_keeps_the_edges_of_routes(city: City) -> None:
    rows = np.array([5, 0, 5, 17])
    result = city.routes.take(rows)
    for new, old in enumerate(rows):
        assert np.array_equal(result.line(city.graph, new), city.routes.line(city.graph, int(old)))
    assert result.loop.tolist() == city.routes.loop[rows].tolist()


def test_concatenate_is_the_inverse_of_take(city: City) -> None:
    half = len(city.routes) // 2
    parts = [city.routes.take(np.arange(half)), city.routes.take(np.arange(half, len(city.routes)))]
    joined = concatenate(parts)
    assert np.array_equal(joined.edges, city.routes.edges)
    assert np.array_equal(joined.offsets, city.routes.offsets)
    assert np.array_equal(joined.forward, city.routes.forward)
