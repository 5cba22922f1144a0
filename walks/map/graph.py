"""The walk graph: junctions joined by edges with real geometry, as flat arrays.

Ways are cut at every node that two ways share. Between two junctions there is at most one edge, because a second edge
is cut at an inner point. A sequence of junctions therefore identifies a path.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from walks.errors import BadMapError
from walks.map.geometry import Projection, polyline_length
from walks.map.osm import MAJOR, RawMap, Way

SURFACES = ("paved", "stone", "unpaved", "unknown")
_SURFACE_CLASS = {
    **dict.fromkeys(("asphalt", "concrete", "paved", "concrete:plates", "metal", "wood"), "paved"),
    **dict.fromkeys(
        ("cobblestone", "sett", "unhewn_cobblestone", "paving_stones", "stone", "paved;cobblestone"), "stone"
    ),
    **dict.fromkeys(
        ("unpaved", "gravel", "fine_gravel", "compacted", "ground", "dirt", "earth", "grass", "sand"),
        "unpaved",
    ),
}
FOOT_ONLY = frozenset({"footway", "pedestrian", "path", "steps", "trail", "platform", "track"})


@dataclass(frozen=True)
class WalkGraph:
    """N junctions and E undirected edges. Metres are on the plane of `projection`.

    Edge e runs from `u[e]` to `v[e]` over `points[offsets[e]:offsets[e + 1]]` (metres, both ends included).
    """

    projection: Projection
    xy: NDArray[np.float64]  # (N, 2)
    u: NDArray[np.int64]  # (E,)
    v: NDArray[np.int64]  # (E,)
    offsets: NDArray[np.int64]  # (E + 1,)
    points: NDArray[np.float64]  # (P, 2)
    length_m: NDArray[np.float64]  # (E,)
    surface: NDArray[np.int64]  # (E,) index into SURFACES
    stairs: NDArray[np.bool_]  # (E,)
    major: NDArray[np.bool_]  # (E,) the edge is a primary or secondary road
    foot_only: NDArray[np.bool_]  # (E,) no motor traffic
    names: list[str]  # street names. names[0] is "", for edges without a name
    name: NDArray[np.int64]  # (E,) index into names

    @property
    def nodes(self) -> int:
        """The junction count."""
        return len(self.xy)

    @property
    def edges(self) -> int:
        """The edge count."""
        return len(self.u)

    def line(self, edge: int) -> NDArray[np.float64]:
        """Return an edge's geometry from u to v: (n, 2) metres."""
        return self.points[self.offsets[edge] : self.offsets[edge + 1]]

    def matrix(self, weight: NDArray[np.float64]) -> csr_matrix:
        """Return the symmetric adjacency matrix (N, N) with these edge weights (E,)."""
        both = (np.concatenate([self.u, self.v]), np.concatenate([self.v, self.u]))
        return csr_matrix((np.concatenate([weight, weight]), both), shape=(self.nodes, self.nodes))


def build_graph(raw: RawMap) -> WalkGraph:
    """Cut the ways into edges and keep the largest connected part.

    Raises:
        BadMapError: no edge is left.
    """
    order = np.argsort(raw.node_ids)
    sorted_ids = raw.node_ids[order]
    pieces: list[tuple[Way, NDArray[np.int64]]] = []
    for way in raw.ways:
        for run in _known_runs(way.nodes):
            pieces.append((way, order[np.searchsorted(sorted_ids, run)]))
    cuts = _cut_all([nodes for _, nodes in pieces], len(raw.node_ids))
    if not cuts:
        raise BadMapError(
            f"none of the {len(raw.ways)} walkable ways has two nodes inside the extract; use a larger extract"
        )
    lat_lon = raw.node_latlon
    projection = Projection(*lat_lon.mean(axis=0))
    plane = projection.to_xy(lat_lon)
    mask = _largest_part(cuts)
    cuts = [cut for cut, is_kept in zip(cuts, mask, strict=True) if is_kept]
    return _assemble(projection, plane, [pieces[piece][0] for piece, _ in cuts], [nodes for _, nodes in cuts])


def _known_runs(nodes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split a way at the nodes that the extract lacks, and drop repeated neighbours."""
    runs = np.split(nodes, np.flatnonzero(nodes < 0))
    cleaned = [run[run >= 0] for run in runs]
    return [run[np.append(True, run[1:] != run[:-1])] for run in cleaned if len(run) > 1]


def _cut_all(pieces: list[NDArray[np.int64]], nodes: int) -> list[tuple[int, NDArray[np.int64]]]:
    """Cut ways at junctions until no two edges join the same pair of junctions and no edge is a ring.

    Args:
        pieces: the node indices along each way, or along a part of a way.
        nodes: the map's node count.

    Returns:
        For each edge: the index of its piece, and its node indices.
    """
    uses = np.zeros(nodes, dtype=np.int64)
    for piece in pieces:
        np.add.at(uses, piece, 1)
        uses[piece[[0, -1]]] += 1
    junction = uses > 1
    while True:
        cuts: dict[tuple[int, int], tuple[int, NDArray[np.int64]]] = {}
        again = False
        for index, piece in enumerate(pieces):
            at = np.flatnonzero(junction[piece])
            for start, end in pairwise(at.tolist()):
                run = piece[start : end + 1]
                pair = (int(min(run[0], run[-1])), int(max(run[0], run[-1])))
                if pair not in cuts and pair[0] != pair[1]:
                    cuts[pair] = (index, run)
                elif len(run) > 2:
                    junction[run[len(run) // 2]] = again = True
                elif pair in cuts and len(cuts[pair][1]) > 2:
                    other = cuts[pair][1]
                    junction[other[len(other) // 2]] = again = True
        if not again:
            return list(cuts.values())


def _largest_part(cuts: list[tuple[int, NDArray[np.int64]]]) -> NDArray[np.bool_]:
    ends = np.array([(nodes[0], nodes[-1]) for _, nodes in cuts], dtype=np.int64)
    used, local = np.unique(ends, return_inverse=True)
    local = local.reshape(ends.shape)
    adjacency = csr_matrix((np.ones(len(ends)), (local[:, 0], local[:, 1])), shape=(len(used), len(used)))
    _, part = connected_components(adjacency, directed=False)
    biggest = np.bincount(part[local[:, 0]]).argmax()
    return np.asarray(part[local[:, 0]] == biggest)


def _assemble(
    projection: Projection, plane: NDArray[np.float64], ways: list[Way], lines: list[NDArray[np.int64]]
) -> WalkGraph:
    ends = np.array([(line[0], line[-1]) for line in lines], dtype=np.int64)
    used, local = np.unique(ends, return_inverse=True)
    local = local.reshape(ends.shape)
    names = ["", *sorted({way.name for way in ways} - {""})]
    number = {name: i for i, name in enumerate(names)}
    surfaces = [SURFACES.index(_SURFACE_CLASS.get(way.surface, "unknown")) for way in ways]
    return WalkGraph(
        projection=projection,
        xy=plane[used],
        u=local[:, 0],
        v=local[:, 1],
        offsets=np.concatenate([[0], np.cumsum([len(line) for line in lines])]).astype(np.int64),
        points=plane[np.concatenate(lines)],
        length_m=np.array([polyline_length(plane[line]) for line in lines]),
        surface=np.array(surfaces, dtype=np.int64),
        stairs=np.array([way.highway == "steps" for way in ways]),
        major=np.array([way.highway in MAJOR for way in ways]),
        foot_only=np.array([way.highway in FOOT_ONLY for way in ways]),
        names=names,
        name=np.array([number[way.name] for way in ways], dtype=np.int64),
    )
