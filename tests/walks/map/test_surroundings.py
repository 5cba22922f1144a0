from pathlib import Path

import numpy as np
import pytest

from tests.walks.conftest import City
from tests.walks.maps import ORIGIN_LAT, ORIGIN_LON, STEP_LAT, STEP_LON, Nodes, write_osm
from walks.map.graph import build_graph
from walks.map.osm import read_map
from walks.map.surroundings import look_around


def test_path_through_a_park_past_a_cafe_has_both_as_surroundings(tmp_path: Path) -> None:
    def at(row: float, column: float) -> tuple[float, float]:
        return ORIGIN_LAT + row * STEP_LAT, ORIGIN_LON + column * STEP_LON

    park: Nodes = {
        number: (*at(row, column), {})
        for number, (row, column) in enumerate([(0.9, -1), (2.1, -1), (2.1, 1), (0.9, 1)], 10)
    }
    nodes: Nodes = {
        **{i: (*at(i, 0), {}) for i in range(4)},
        **park,
        20: (*at(0.5, 0.1), {"amenity": "cafe", "name": "Corner"}),
        21: (*at(1.5, 0.05), {"natural": "tree"}),
        22: (*at(3, 0.1), {}),
        23: (*at(0, 0.1), {}),
    }
    ways = [
        ([0, 1], {"highway": "footway"}),
        ([1, 2], {"highway": "footway"}),
        ([2, 3], {"highway": "footway"}),
        ([10, 11, 12, 13, 10], {"leisure": "park", "name": "Green"}),
        ([23, 22], {"highway": "primary", "name": "Main"}),
        ([0, 23], {"highway": "footway"}),
    ]
    nodes_by_id = {number + 1: value for number, value in nodes.items()}
    shifted = [([ref + 1 for ref in refs], tags) for refs, tags in ways]
    raw = read_map(write_osm(tmp_path / "park.osm", nodes_by_id, shifted))
    graph = build_graph(raw)
    around = look_around(raw, graph)
    middle = int(np.argmax(around.park))
    assert around.park[middle] == 1.0
    assert around.trees[middle] == 1
    assert around.area_near[middle, 0] == pytest.approx(graph.length_m[middle])
    by_cafe = np.flatnonzero(around.place_near.toarray()[:, 0])
    assert len(by_cafe) == 2  # the footway, and the road next to it
    beside = [e for e in range(graph.edges) if graph.name[e] == 0 and around.park[e] < 0.5]
    assert {graph.names[around.street[e]] for e in beside} == {"Main"}
    assert graph.names[around.street[middle]] == ""  # a path in a park does not take a street's name


def test_shares_lie_between_0_and_1_on_the_real_map(city: City) -> None:
    for share in (city.around.park, city.around.water, city.around.major):
        assert share.min() >= 0.0
        assert share.max() <= 1.0
        assert 0.02 < share.mean() < 0.6
    assert (city.around.street > 0).mean() > 0.6


def test_mannerheimintie_is_major_and_the_park_is_green(city: City) -> None:
    graph, around = city.graph, city.around
    main = graph.name == graph.names.index("Mannerheimintie")
    assert around.major[main].mean() > 0.95
    parks = [i for i, area in enumerate(around.areas) if area.name == "Kaisaniemen puisto"]
    inside = around.area_near.toarray()[:, parks].sum(axis=1) > 0.9 * graph.length_m
    assert around.park[inside].mean() > 0.95
