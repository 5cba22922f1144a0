from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.walks.conftest import City
from tests.walks.maps import grid_map
from walks.map.geometry import polyline_length
from walks.map.graph import WalkGraph, build_graph
from walks.map.osm import read_map
from walks.map.surroundings import look_around
from walks.routes.propose import MOST_TWICE, choose_anchors, propose
from walks.routes.routes import LONGEST_M, SHORTEST_M, Routes


def assert_walkable(graph: WalkGraph, routes: Routes) -> None:
    """Check that every route is connected, has the right length and kind, and hardly retraces itself."""
    for row in range(len(routes)):
        span = slice(routes.offsets[row], routes.offsets[row + 1])
        edges, forward = routes.edges[span], routes.forward[span]
        begins = np.where(forward, graph.u[edges], graph.v[edges])
        ends = np.where(forward, graph.v[edges], graph.u[edges])
        assert (ends[:-1] == begins[1:]).all(), "two edges in a row do not meet"
        assert (begins[0] == ends[-1]) == routes.loop[row]
        length = graph.length_m[edges].sum()
        assert SHORTEST_M <= length <= LONGEST_M
        assert polyline_length(routes.line(graph, row)) == pytest.approx(length)
        _, first = np.unique(edges, return_index=True)
        assert graph.length_m[edges[first]].sum() >= (1 - MOST_TWICE) * length - 1e-6
        assert (edges[:-1] != edges[1:]).all(), (
            "a route has a spur, which goes straight back along the same edge"
        )


def test_real_routes_are_walkable(city: City) -> None:
    assert_walkable(city.graph, city.routes)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(5, 9), height=st.integers(5, 9), seed=st.integers(0, 2**32 - 1))
@example(width=7, height=9, seed=268)  # a line that returns to its start
def test_routes_over_any_grid_are_walkable(tmp_path: Path, width: int, height: int, seed: int) -> None:
    raw = read_map(grid_map(tmp_path / "grid.osm", width, height))
    graph = build_graph(raw)
    rng = np.random.default_rng(seed)
    anchors = choose_anchors(graph, 20, rng)
    routes = propose(graph, look_around(raw, graph), anchors, 200, 0.5, rng)
    assert len(routes) > 0
    assert_walkable(graph, routes)


def test_anchors_cover_the_map_and_are_not_dead_ends(city: City) -> None:
    graph = city.graph
    anchors = choose_anchors(graph, 300, np.random.default_rng(0))
    degree = np.bincount(np.concatenate([graph.u, graph.v]), minlength=graph.nodes)
    assert len(np.unique(anchors)) == 300
    assert (degree[anchors] > 2).all()
    gap = np.hypot(*(graph.xy[:, None] - graph.xy[anchors]).transpose(2, 0, 1)).min(axis=1)
    assert np.quantile(gap, 0.99) < 120.0


def test_the_same_seed_proposes_the_same_routes(city: City) -> None:
    def once() -> Routes:
        rng = np.random.default_rng(3)
        anchors = choose_anchors(city.graph, 50, rng)
        return propose(city.graph, city.around, anchors, 500, 0.5, rng)

    first, second = once(), once()
    assert np.array_equal(first.edges, second.edges)
    assert np.array_equal(first.offsets, second.offsets)
