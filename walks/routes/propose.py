"""Proposes routes: loops and point-to-point walks through a few anchors, joined by shortest paths.

Anchors are junctions where routes may start, turn or end. Paths from every anchor are computed once per mood. A chunk's
routes are traced together, one junction per array operation. Routes that have the wrong length or walk back the way
they came are dropped.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.ragged import gather_positions, offsets_of
from walks.map.graph import WalkGraph
from walks.map.paths import MOODS, PathTable, mood_weights
from walks.map.surroundings import Surroundings
from walks.routes.routes import LONGEST_M, SHORTEST_M, Routes, concatenate

CHUNK = 4000  # routes traced at once
MOST_TWICE = 0.04  # maximum share of a route's length on edges it has already walked


def choose_anchors(graph: WalkGraph, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return at most `count` junctions that are spread over the map. Dead ends are left out."""
    degree = np.bincount(np.concatenate([graph.u, graph.v]), minlength=graph.nodes)
    able = np.flatnonzero(degree > 2)
    cell = np.floor(graph.xy[able] / 40.0).astype(np.int64)
    _, rank = np.unique(cell, axis=0, return_inverse=True)
    shuffled = rng.permutation(len(able))
    # One junction from each 40 m cell first, then a second one from each, and so on.
    order = np.argsort(_rank_within(rank.ravel()[shuffled]), kind="stable")
    return np.sort(able[shuffled[order[:count]]])


def _rank_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - first
    return rank


def propose(
    graph: WalkGraph,
    around: Surroundings,
    anchors: NDArray[np.int64],
    proposals: int,
    loop_share: float,
    rng: np.random.Generator,
) -> Routes:
    """Try `proposals` routes. Return the routes that have the right length and do not walk back the way they came."""
    per_mood = proposals // len(MOODS)
    chunks: list[Routes] = []
    for mood in MOODS:
        table = PathTable(graph, mood_weights(graph, around, mood, rng), anchors)
        for start in range(0, per_mood, CHUNK):
            count = min(CHUNK, per_mood - start)
            loops = rng.random(count) < loop_share
            chunks.append(_chunk(graph, table, anchors, loops, rng))
    return concatenate(chunks)


def _chunk(
    graph: WalkGraph,
    table: PathTable,
    anchors: NDArray[np.int64],
    loops: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Routes:
    """Draw waypoints for each route, join the paths between them, and return the plausible routes."""
    # (K, 5) anchor numbers. A route with fewer waypoints repeats a waypoint.
    stops = _waypoints(graph.xy[anchors], loops, rng)
    lengths, edges, forward = [], [], []
    for leg in range(stops.shape[1] - 1):
        n, e, f = table.trace(stops[:, leg], stops[:, leg + 1])
        lengths.append(n)
        edges.append(e)
        forward.append(f)
    legs, count = len(lengths), len(loops)
    # The paths lie leg after leg. Reorder them route after route.
    by_route = np.arange(legs * count).reshape(legs, count).T.ravel()
    order, _ = gather_positions(offsets_of(np.concatenate(lengths)), by_route)
    routes = Routes(
        offsets_of(np.sum(lengths, axis=0)),
        np.concatenate(edges)[order],
        np.concatenate(forward)[order],
        loops,
    )
    plausible = _plausible(graph, routes, slack=1.25)
    trimmed = _without_spurs(routes.take(plausible))
    complete = trimmed.take(_plausible(graph, trimmed, slack=1.0))
    return complete.take(np.flatnonzero(_returns(graph, complete) == complete.loop))


def _waypoints(
    xy: NDArray[np.float64], loops: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return anchor numbers (K, 5): around a circle and back to the first anchor, or along a bent line."""
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
    points = np.where(loops[:, None, None], around, along)
    inside = np.clip(points, low, high)
    nearest = _nearest(xy, inside.reshape(-1, 2)).reshape(count, 4)
    last = np.where(loops, nearest[:, 0], nearest[:, 3])
    return np.concatenate([nearest, last[:, None]], axis=1)


def _nearest(xy: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.asarray(cKDTree(xy).query(points)[1], dtype=np.int64)


def _plausible(graph: WalkGraph, routes: Routes, slack: float) -> NDArray[np.int64]:
    """Return the rows of routes that have the right length and walk few edges twice."""
    route = routes.route_of_edge()
    metres = graph.length_m[routes.edges]
    length = np.bincount(route, metres, minlength=len(routes))
    key = route * graph.edges + routes.edges
    _, first = np.unique(key, return_index=True)
    once = np.bincount(route[first], metres[first], minlength=len(routes))
    twice = 1 - once / np.maximum(length, 1.0)
    right = (length >= SHORTEST_M) & (length <= LONGEST_M * slack) & (twice <= MOST_TWICE + (slack - 1.0))
    return np.flatnonzero(right)


def _returns(graph: WalkGraph, routes: Routes) -> NDArray[np.bool_]:
    """Return whether each route ends where it begins. Each route has at least one edge.

    A point-to-point route may end there too, because its spurs were dropped or its last waypoint is also its first.
    """
    first, last = routes.offsets[:-1], routes.offsets[1:] - 1
    edges, forward = routes.edges, routes.forward
    begins = np.where(forward[first], graph.u[edges[first]], graph.v[edges[first]])
    ends = np.where(forward[last], graph.v[edges[last]], graph.u[edges[last]])
    return np.asarray(begins == ends)


def _without_spurs(routes: Routes) -> Routes:
    """Drop every stretch that goes out along an edge and straight back, also across the start of a loop."""
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
        steps = np.array(stack[low : high + 1], dtype=np.int64)
        edges.append(np.abs(steps) - 1)
        forward.append(steps > 0)
    offsets = offsets_of(np.array([len(e) for e in edges], dtype=np.int64))
    empty = np.empty(0, dtype=np.int64)
    return Routes(
        offsets, np.concatenate([*edges, empty]), np.concatenate([*forward, empty > 0]), routes.loop
    )
