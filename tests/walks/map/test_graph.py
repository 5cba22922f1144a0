from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from tests.walks.conftest import City
from tests.walks.maps import Nodes, grid_map, write_osm
from walks.errors import BadMapError
from walks.map.geometry import polyline_length
from walks.map.graph import SURFACES, WalkGraph, build_graph
from walks.map.osm import read_map


def assert_sound(graph: WalkGraph) -> None:
    """Check the properties that every walk graph must have."""
    ends = np.stack([np.minimum(graph.u, graph.v), np.maximum(graph.u, graph.v)], axis=1)
    assert (ends[:, 0] != ends[:, 1]).all(), "an edge is a ring"
    assert len(np.unique(ends, axis=0)) == graph.edges, "two edges join the same junctions"
    parts, _ = connected_components(graph.matrix(graph.length_m), directed=False)
    assert parts == 1
    for edge in range(graph.edges):
        line = graph.line(edge)
        assert line[0] == pytest.approx(graph.xy[graph.u[edge]])
        assert line[-1] == pytest.approx(graph.xy[graph.v[edge]])
        assert polyline_length(line) == pytest.approx(graph.length_m[edge])
    assert (graph.length_m > 0).all()


def test_a_grid_is_cut_at_its_crossings(tmp_path: Path) -> None:
    graph = build_graph(read_map(grid_map(tmp_path / "grid.osm", 4, 3)))
    assert_sound(graph)
    assert graph.nodes == 12
    assert graph.edges == 3 * 3 + 4 * 2
    assert graph.length_m == pytest.approx(100.0, rel=0.01)
    rows = [graph.names[i].startswith("Row") for i in graph.name]
    assert [SURFACES[i] for i in graph.surface] == ["paved" if row else "unpaved" for row in rows]
    assert graph.foot_only.tolist() == [not row for row in rows]


def test_the_real_map_gives_a_sound_graph(city: City) -> None:
    assert_sound(city.graph)
    assert city.graph.length_m.sum() > 80_000
    assert city.graph.stairs.sum() > 50


def test_cuts_rings_and_parallel_ways_until_junctions_identify_paths(tmp_path: Path) -> None:
    nodes: Nodes = {
        i: (60.17 + lat * 0.001, 24.94 + lon * 0.001, {})
        for i, (lat, lon) in enumerate(
            [(0, 0), (0, 1), (1, 0.5), (-1, 0.5), (0, 2), (1, 2), (1, 1.5)], start=1
        )
    }
    footway = {"highway": "footway"}
    ways = [([1, 2], footway), ([1, 3, 2], footway), ([1, 4, 2], footway), ([2, 5, 6, 7, 2], footway)]
    assert_sound(build_graph(read_map(write_osm(tmp_path / "rings.osm", nodes, ways))))


def test_the_largest_part_is_kept(tmp_path: Path) -> None:
    nodes: Nodes = {i: (60.17 + i * 0.001, 24.94, {}) for i in range(1, 8)}
    ways = [
        ([1, 2, 3, 4], {"highway": "footway"}),
        ([2, 5], {"highway": "path"}),
        ([6, 7], {"highway": "footway"}),
    ]
    graph = build_graph(read_map(write_osm(tmp_path / "parts.osm", nodes, ways)))
    assert_sound(graph)
    assert graph.edges == 3


def test_ways_are_not_joined_across_nodes_the_extract_lacks(tmp_path: Path) -> None:
    nodes: Nodes = {i: (60.17 + i * 0.001, 24.94, {}) for i in (1, 2, 5)}
    path = write_osm(tmp_path / "cut.osm", nodes, [([1, 2, 3, 4, 5], {"highway": "footway"})])
    assert build_graph(read_map(path)).edges == 1


def test_rejects_ways_with_a_single_known_node(tmp_path: Path) -> None:
    nodes: Nodes = {1: (60.17, 24.94, {})}
    path = write_osm(tmp_path / "dot.osm", nodes, [([1, 2], {"highway": "footway"})])
    with pytest.raises(BadMapError, match="none of the 1 walkable ways"):
        build_graph(read_map(path))
