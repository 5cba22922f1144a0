import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra

from tests.walks.conftest import City
from walks.map.paths import MOODS, PathTable, mood_weights


def test_traced_paths_are_the_shortest(city: City) -> None:
    graph = city.graph
    rng = np.random.default_rng(1)
    anchors = rng.choice(graph.nodes, 30, replace=False)
    table = PathTable(graph, graph.length_m, anchors)
    sources, targets = rng.integers(0, 30, 200), rng.integers(0, 30, 200)
    lengths, edges, forward = table.trace(sources, targets)
    best = dijkstra(graph.matrix(graph.length_m), indices=anchors)
    ends = np.cumsum(lengths)
    for source, target, count, end in zip(sources, targets, lengths, ends, strict=True):
        path, ahead = edges[end - count : end], forward[end - count : end]
        here = anchors[source]
        for edge, along in zip(path, ahead, strict=True):
            assert (graph.u if along else graph.v)[edge] == here
            here = (graph.v if along else graph.u)[edge]
        assert here == anchors[target]
        assert graph.length_m[path].sum() == pytest.approx(best[source, anchors[target]])


def test_a_path_to_itself_is_empty(city: City) -> None:
    table = PathTable(city.graph, city.graph.length_m, np.array([5, 9]))
    lengths, edges, forward = table.trace(np.array([0, 1]), np.array([0, 1]))
    assert lengths.tolist() == [0, 0]
    assert len(edges) == len(forward) == 0


def test_each_mood_prefers_the_edges_it_is_named_after(city: City) -> None:
    graph, around = city.graph, city.around

    def per_metre(mood: str) -> np.ndarray:
        return mood_weights(graph, around, mood, np.random.default_rng(0)) / graph.length_m

    for mood in MOODS:
        assert (per_metre(mood) >= 0.7).all()
    extra = {mood: per_metre(mood) - per_metre("direct") for mood in MOODS}
    assert extra["green"][around.park == 1].mean() < extra["green"][around.park == 0].mean()
    assert extra["shore"][around.water == 1].mean() < extra["shore"][around.water == 0].mean()
    assert extra["quiet"][around.major == 1].mean() > extra["quiet"][around.major == 0].mean()
