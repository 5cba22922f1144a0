"""Routes as ragged arrays of the walk graph's edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ragged import gather_positions, offsets_of
from walks.map.graph import WalkGraph

SHORTEST_M = 800.0
LONGEST_M = 6000.0


@dataclass(frozen=True)
class Routes:
    """R routes. Route r walks `edges[offsets[r]:offsets[r + 1]]`. `forward` means from u to v."""

    offsets: NDArray[np.int64]  # (R + 1,)
    edges: NDArray[np.int64]
    forward: NDArray[np.bool_]
    loop: NDArray[np.bool_]  # (R,)

    def __len__(self) -> int:
        return len(self.loop)

    def take(self, rows: NDArray[np.int64]) -> "Routes":
        """Return the routes in these rows, in this order."""
        entries, offsets = gather_positions(self.offsets, rows)
        return Routes(offsets, self.edges[entries], self.forward[entries], self.loop[rows])

    def route_of_edge(self) -> NDArray[np.int64]:
        """Return the route number for each entry of `edges`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def line(self, graph: WalkGraph, route: int) -> NDArray[np.float64]:
        """Return a route's geometry: (n, 2) metres, without repeated points."""
        span = slice(self.offsets[route], self.offsets[route + 1])
        parts = []
        for edge, forward in zip(self.edges[span], self.forward[span], strict=True):
            line = graph.line(int(edge))
            parts.append((line if forward else line[::-1])[:-1])
        last = graph.line(int(self.edges[span][-1]))
        parts.append(last[-1:] if self.forward[span][-1] else last[:1])
        return np.concatenate(parts)


def concatenate(parts: Sequence[Routes]) -> Routes:
    """Return several Routes as one, laid end to end."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Routes(
        offsets_of(lengths),
        np.concatenate([part.edges for part in parts]),
        np.concatenate([part.forward for part in parts]),
        np.concatenate([part.loop for part in parts]),
    )
