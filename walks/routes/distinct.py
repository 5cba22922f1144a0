"""Selects routes that differ: the ground that any two cover overlaps only up to a limit.

Ground is measured on a 25 m grid, so both pavements of a street count as the same ground.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.ragged import gather_positions, offsets_of
from walks.map.geometry import sample_polyline
from walks.map.graph import WalkGraph
from walks.routes.routes import LONGEST_M, SHORTEST_M, Routes

CELL_M = 25.0
STEP_M = 6.0
MAX_REVISITS = 0.07
"""The maximum share of a route's steps onto ground it covered before. A route may cross itself but not turn back."""
LENGTH_BINS = 8


def ground(graph: WalkGraph, routes: Routes) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Return the cells that R routes cover, and how often each route revisits a cell.

    Returns:
        A 0/1 matrix (R, cells), and the share (R,) of each route's steps onto a cell that the route visited before.
    """
    samples = [sample_polyline(graph.line(edge), STEP_M) for edge in range(graph.edges)]
    counts = np.array([len(sample) for sample in samples], dtype=np.int64)
    corner = graph.points.min(axis=0)
    grid = np.floor((np.concatenate(samples) - corner) / CELL_M).astype(np.int64)
    width = int(grid[:, 0].max()) + 1
    cell = grid[:, 1] * width + grid[:, 0]
    cells = int(cell.max()) + 1
    per_entry = counts[routes.edges]
    sample_index, begins = gather_positions(offsets_of(counts), routes.edges)
    inner = np.arange(len(sample_index)) - np.repeat(begins[:-1], per_entry)
    backward = np.repeat(~routes.forward, per_entry)
    sample_index = np.where(
        backward, sample_index + np.repeat(per_entry, per_entry) - 1 - 2 * inner, sample_index
    )
    key = np.repeat(routes.route_of_edge(), per_entry) * cells + cell[sample_index]
    visits = key[np.append(True, key[1:] != key[:-1])]
    covered_keys = np.unique(visits)
    visited = np.bincount(visits // cells, minlength=len(routes))
    covered = np.bincount(covered_keys // cells, minlength=len(routes))
    matrix = csr_matrix(
        (np.ones(len(covered_keys), np.float32), (covered_keys // cells, covered_keys % cells)),
        shape=(len(routes), cells),
    )
    return matrix, 1.0 - covered / np.maximum(visited, 1)


def pick_distinct(
    graph: WalkGraph, routes: Routes, count: int, loop_share: float, max_jaccard: float
) -> NDArray[np.int64]:
    """Return the rows of at most `count` routes of all lengths. No two of them overlap by more than `max_jaccard`."""
    covers, revisits = ground(graph, routes)
    length = np.bincount(routes.route_of_edge(), graph.length_m[routes.edges], minlength=len(routes))
    edges = np.linspace(np.log(SHORTEST_M), np.log(LONGEST_M), LENGTH_BINS + 1)
    length_bin = np.clip(np.digitize(np.log(length), edges) - 1, 0, LENGTH_BINS - 1)
    group = np.where(routes.loop, length_bin, LENGTH_BINS + length_bin)
    candidates = np.flatnonzero(revisits <= MAX_REVISITS)
    # Take one route from each group in turn, so that no length crowds out the others.
    candidates = candidates[np.argsort(_turn(group[candidates]), kind="stable")]
    quota = {True: round(count * loop_share), False: count - round(count * loop_share)}
    chosen: list[int] = []
    size = np.asarray(covers.sum(axis=1), dtype=np.float64).ravel()
    for start in range(0, len(candidates), 512):
        chunk = candidates[start : start + 512]
        new_rows = _unlike(covers, size, chunk, np.array(chosen, dtype=np.int64), max_jaccard)
        for row in _unlike_each_other(covers, size, new_rows, max_jaccard):
            if quota[bool(routes.loop[row])] > 0:
                quota[bool(routes.loop[row])] -= 1
                chosen.append(int(row))
        if not any(quota.values()):
            break
    return np.array(chosen, dtype=np.int64)


def _turn(group: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    turn = np.empty(len(group), dtype=np.int64)
    turn[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return turn


def _jaccard(
    covers: csr_matrix, size: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64]
) -> csr_matrix:
    """Return the Jaccard overlap for each pair of routes with a common cell: sparse (len(a), len(b))."""
    shared = (covers[a] @ covers[b].T).tocoo()
    either = size[a][shared.row] + size[b][shared.col] - shared.data
    return csr_matrix((shared.data / either, (shared.row, shared.col)), shape=shared.shape)


def _unlike(
    covers: csr_matrix,
    size: NDArray[np.float64],
    chunk: NDArray[np.int64],
    chosen: NDArray[np.int64],
    limit: float,
) -> NDArray[np.int64]:
    if len(chosen) == 0:
        return chunk
    largest_overlap = _jaccard(covers, size, chunk, chosen).max(axis=1).toarray().ravel()
    return chunk[largest_overlap <= limit]


def _unlike_each_other(
    covers: csr_matrix, size: NDArray[np.float64], rows: NDArray[np.int64], limit: float
) -> list[int]:
    overlap = _jaccard(covers, size, rows, rows).toarray()
    chosen: list[int] = []
    for i in range(len(rows)):
        if not chosen or overlap[i, chosen].max() <= limit:
            chosen.append(i)
    return [int(rows[i]) for i in chosen]
