"""Shortest paths in different moods: through parks, by the shore, away from traffic, or directly."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from walks.map.graph import WalkGraph
from walks.map.surroundings import Surroundings

NO_NODE = -9999  # scipy.sparse.csgraph's mark for "no predecessor"
MOODS = ("direct", "green", "shore", "quiet", "lively")


def mood_weights(
    graph: WalkGraph, around: Surroundings, mood: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return each edge's walking cost (E,): its length times a factor, which is small if the edge fits the mood."""
    cost = np.ones(graph.edges)
    # A carriageway costs more than a footway. Its pavements are separate edges.
    cost += np.where(graph.foot_only, 0.0, np.where(graph.major, 1.0, 0.25))
    cost += 0.3 * graph.stairs
    if mood == "green":
        cost += 1.5 * (1 - around.park)
    elif mood == "shore":
        cost += 1.5 * (1 - around.water)
    elif mood == "quiet":
        cost += 1.5 * around.major + 1.0 * graph.stairs
    elif mood == "lively":
        places = np.asarray(around.place_near.sum(axis=1)).ravel()
        cost += 1.2 * np.exp(-places / 3.0)
    cost *= np.exp(rng.normal(0.0, 0.08, graph.edges))  # breaks ties between parallel pavements at random
    return np.asarray(graph.length_m * cost + 1e-3)


class PathTable:
    """Shortest paths in one mood, from every anchor to every junction."""

    def __init__(self, graph: WalkGraph, weight: NDArray[np.float64], anchors: NDArray[np.int64]) -> None:
        """Run Dijkstra from each anchor (A,) over edge costs `weight` (E,)."""
        self._graph = graph
        self._anchors = anchors
        _, before = dijkstra(graph.matrix(weight), indices=anchors, return_predecessors=True)
        self._before: NDArray[np.int32] = before
        low, high = np.minimum(graph.u, graph.v), np.maximum(graph.u, graph.v)
        keys = low * graph.nodes + high
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def trace(
        self, sources: NDArray[np.int64], targets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return the shortest paths between pairs of anchors, as ragged arrays.

        Args:
            sources: (K,) anchor numbers.
            targets: (K,) anchor numbers.

        Returns:
            Each path's edge count (K,). The edges from source to target, path after path. For each edge, whether it is
            walked from u to v.
        """
        node = self._anchors[targets].copy()
        walked_from: list[NDArray[np.int64]] = []
        walked_to: list[NDArray[np.int64]] = []
        while True:
            before = self._before[sources, node].astype(np.int64)
            if (before == NO_NODE).all():
                break
            walked_from.append(before)
            walked_to.append(np.where(before == NO_NODE, NO_NODE, node))
            node = np.where(before == NO_NODE, node, before)
        if not walked_from:
            return np.zeros(len(sources), dtype=np.int64), np.empty(0, np.int64), np.empty(0, np.bool_)
        a = np.stack(
            walked_from[::-1], axis=1
        )  # (K, steps), reversed: the source comes first, padding before it
        b = np.stack(walked_to[::-1], axis=1)
        real = a != NO_NODE
        a_flat, b_flat = a[real], b[real]
        keys = np.minimum(a_flat, b_flat) * self._graph.nodes + np.maximum(a_flat, b_flat)
        edges = self._order[np.searchsorted(self._keys, keys)]
        return real.sum(axis=1).astype(np.int64), edges, self._graph.u[edges] == a_flat
