"""Routes over the walk graph: loops and point-to-point walks through anchors, then the distinct ones among them.

Shortest paths from every anchor are computed once per mood (a way of weighing edges: green, quiet, ...); a route
is two to four such paths joined. All routes of a chunk are traced at once: one array step a junction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from models.ragged import gather_positions, offsets_of
from walks.graph import WalkGraph
from walks.surroundings import Surroundings

SHORTEST_M = 800.0
LONGEST_M = 6000.0
NO_NODE = -9999  # scipy.sparse.csgraph marks "no predecessor" so
MOODS = ("direct", "green", "shore", "quiet", "lively")


@dataclass(frozen=True)
class Routes:
    """R routes as ragged arrays: route r walks `edges[offsets[r]:offsets[r + 1]]`, `forward` meaning u to v."""

    offsets: NDArray[np.int64]  # (R + 1,)
    edges: NDArray[np.int64]
    forward: NDArray[np.bool_]
    loop: NDArray[np.bool_]  # (R,)

    def __len__(self) -> int:
        return len(self.loop)

    def take(self, rows: NDArray[np.int64]) -> "Routes":
        """The given routes, in the given order."""
        at, offsets = gather_positions(self.offsets, rows)
        return Routes(offsets, self.edges[at], self.forward[at], self.loop[rows])

    def route_of_edge(self) -> NDArray[np.int64]:
        """Route number of each entry of `edges`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def line(self, graph: WalkGraph, route: int) -> NDArray[np.float64]:
        """Geometry of a route: (n, 2) metres, without repeated points."""
        span = slice(self.offsets[route], self.offsets[route + 1])
        parts = []
        for edge, forward in zip(self.edges[span], self.forward[span], strict=True):
            line = graph.line(int(edge))
            parts.append((line if forward else line[::-1])[:-1])
        last = graph.line(int(self.edges[span][-1]))
        parts.append(last[-1:] if self.forward[span][-1] else last[:1])
        return np.concatenate(parts)


class PathTable:
    """Shortest paths in one mood from every anchor to every junction."""

    def __init__(self, graph: WalkGraph, weight: NDArray[np.float64], anchors: NDArray[np.int64]) -> None:
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
        """Paths between anchor numbers (K,): ragged (lengths (K,), edges, forward) from source to target."""
        here = self._anchors[targets].copy()
        walked_from: list[NDArray[np.int64]] = []
        walked_to: list[NDArray[np.int64]] = []
        while True:
            before = self._before[sources, here].astype(np.int64)
            if (before == NO_NODE).all():
                break
            walked_from.append(before)
            walked_to.append(np.where(before == NO_NODE, NO_NODE, here))
            here = np.where(before == NO_NODE, here, before)
        if not walked_from:
            return np.zeros(len(sources), dtype=np.int64), np.empty(0, np.int64), np.empty(0, np.bool_)
        a = np.stack(walked_from[::-1], axis=1)  # (K, steps): reversed, so source first, padding in front
        b = np.stack(walked_to[::-1], axis=1)
        real = a != NO_NODE
        a_flat, b_flat = a[real], b[real]
        keys = np.minimum(a_flat, b_flat) * self._graph.nodes + np.maximum(a_flat, b_flat)
        edges = self._order[np.searchsorted(self._keys, keys)]
        return real.sum(axis=1).astype(np.int64), edges, self._graph.u[edges] == a_flat


def mood_weights(
    graph: WalkGraph, around: Surroundings, mood: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Cost (E,) of walking each edge: its length, longer where the mood (or anybody) avoids it."""
    cost = np.ones(graph.edges)
    cost += np.where(
        graph.foot_only, 0.0, np.where(graph.major, 1.0, 0.25)
    )  # carriageways have pavements beside
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
    cost *= np.exp(rng.normal(0.0, 0.08, graph.edges))  # ties between parallel pavements fall either way
    return np.asarray(graph.length_m * cost + 1e-3)


def propose(
    graph: WalkGraph,
    around: Surroundings,
    anchors: NDArray[np.int64],
    proposals: int,
    loop_share: float,
    rng: np.random.Generator,
) -> Routes:
    """Try `proposals` routes and keep those of the right length that do not retrace themselves."""
    per_mood = proposals // len(MOODS)
    kept: list[Routes] = []
    for mood in MOODS:
        table = PathTable(graph, mood_weights(graph, around, mood, rng), anchors)
        for done in range(0, per_mood, 4000):
            count = min(4000, per_mood - done)
            loops = rng.random(count) < loop_share
            kept.append(_chunk(graph, table, anchors, loops, rng))
    return concatenate(kept)


def concatenate(parts: list[Routes]) -> Routes:
    """Several Routes laid end to end."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Routes(
        offsets_of(lengths),
        np.concatenate([part.edges for part in parts]),
        np.concatenate([part.forward for part in parts]),
        np.concatenate([part.loop for part in parts]),
    )


def choose_anchors(graph: WalkGraph, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Junctions (at most `count`) spread over the map, none of them a dead end."""
    degree = np.bincount(np.concatenate([graph.u, graph.v]), minlength=graph.nodes)
    able = np.flatnonzero(degree > 2)
    cell = np.floor(graph.xy[able] / 40.0).astype(np.int64)
    _, rank = np.unique(cell, axis=0, return_inverse=True)
    shuffled = rng.permutation(len(able))
    order = np.argsort(_rank_within(rank.ravel()[shuffled]), kind="stable")  # one of each cell, then a second
    return np.sort(able[shuffled[order[:count]]])


def _rank_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - first
    return rank


def _chunk(
    graph: WalkGraph,
    table: PathTable,
    anchors: NDArray[np.int64],
    loops: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Routes:
    """Draw waypoints for each route, join the paths between them, drop what is too short, long or retraced."""
    stops = _waypoints(
        graph.xy[anchors], loops, rng
    )  # (K, 5) anchor numbers; repeated where fewer are wanted
    lengths, edges, forward = [], [], []
    for leg in range(stops.shape[1] - 1):
        n, e, f = table.trace(stops[:, leg], stops[:, leg + 1])
        lengths.append(n)
        edges.append(e)
        forward.append(f)
    legs, count = len(lengths), len(loops)
    by_route = (
        np.arange(legs * count).reshape(legs, count).T.ravel()
    )  # legs lie leg by leg: put them route by route
    order, _ = gather_positions(offsets_of(np.concatenate(lengths)), by_route)
    routes = Routes(
        offsets_of(np.sum(lengths, axis=0)),
        np.concatenate(edges)[order],
        np.concatenate(forward)[order],
        loops,
    )
    plausible = _plausible(graph, routes, slack=1.25)
    trimmed = _without_spurs(routes.take(plausible))
    return trimmed.take(_plausible(graph, trimmed, slack=1.0))


def _waypoints(
    xy: NDArray[np.float64], loops: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Anchor numbers (K, 5): around a circle back to the first for loops, along a bent line for the others."""
    count = len(loops)
    low, high = xy.min(axis=0), xy.max(axis=0)
    size = np.exp(rng.uniform(np.log(SHORTEST_M * 0.6), np.log(LONGEST_M), count))
    centre = rng.uniform(low, high, (count, 2))
    radius = size / (2 * np.pi)
    turn = rng.uniform(0, 2 * np.pi, count)[:, None] + np.cumsum(rng.uniform(0.7, 1.9, (count, 4)), axis=1)
    around = centre[:, None] + radius[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    heading = rng.uniform(0, 2 * np.pi, count)[:, None] + np.cumsum(rng.normal(0.0, 0.9, (count, 4)), axis=1)
    step = np.stack([np.cos(heading), np.sin(heading)], axis=2) * (size / 4.5)[:, None, None]
    along = centre[:, None] + np.cumsum(step, axis=1) - step.sum(axis=1, keepdims=True) / 2
    wanted = np.where(loops[:, None, None], around, along)
    inside = np.clip(wanted, low, high)
    nearest = _nearest(xy, inside.reshape(-1, 2)).reshape(count, 4)
    last = np.where(loops, nearest[:, 0], nearest[:, 3])
    return np.concatenate([nearest, last[:, None]], axis=1)


def _nearest(xy: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.asarray(cKDTree(xy).query(wanted)[1], dtype=np.int64)


def _plausible(graph: WalkGraph, routes: Routes, slack: float) -> NDArray[np.int64]:
    """Rows of the right length that walk few edges twice."""
    route = routes.route_of_edge()
    metres = graph.length_m[routes.edges]
    length = np.bincount(route, metres, minlength=len(routes))
    key = route * graph.edges + routes.edges
    _, first = np.unique(key, return_index=True)
    once = np.bincount(route[first], metres[first], minlength=len(routes))
    twice = 1 - once / np.maximum(length, 1.0)
    right = (length >= SHORTEST_M) & (length <= LONGEST_M * slack) & (twice <= 0.04 + (slack - 1.0))
    return np.flatnonzero(right)


def _without_spurs(routes: Routes) -> Routes:
    """Drop every stretch that goes out along an edge and straight back, also across a loop's start."""
    edges: list[NDArray[np.int64]] = []
    forward: list[NDArray[np.bool_]] = []
    for row in range(len(routes)):
        span = slice(routes.offsets[row], routes.offsets[row + 1])
        signed = np.where(routes.forward[span], routes.edges[span] + 1, -routes.edges[span] - 1).tolist()
        stack: list[int] = []
        for step in signed:
            if stack and stack[-1] == -step:
                stack.pop()
            else:
                stack.append(step)
        low, high = 0, len(stack) - 1
        while routes.loop[row] and low < high and stack[low] == -stack[high]:
            low, high = low + 1, high - 1
        kept = np.array(stack[low : high + 1], dtype=np.int64)
        edges.append(np.abs(kept) - 1)
        forward.append(kept > 0)
    offsets = offsets_of(np.array([len(e) for e in edges], dtype=np.int64))
    empty = np.empty(0, dtype=np.int64)
    return Routes(
        offsets, np.concatenate([*edges, empty]), np.concatenate([*forward, empty > 0]), routes.loop
    )
