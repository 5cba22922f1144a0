"""Each edge's surroundings: parks, water, major roads, places, trees, and the street that it follows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from walks.map.geometry import sample_polyline
from walks.map.graph import WalkGraph
from walks.map.osm import Area, RawMap
from walks.map.places import CATEGORIES, Place

SAMPLE_M = 10.0
PARK_M = 8.0
WATER_M = 40.0
MAJOR_M = 15.0
PLACE_M = 25.0
TREE_M = 12.0
STREET_M = 18.0
SMALLEST_WATER_M2 = 400.0

Things = Sequence[shapely.Geometry] | NDArray[np.object_]


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of a graph's edges (E,). Shares are fractions of the edge's length, 0 to 1."""

    park: NDArray[np.float64]
    water: NDArray[np.float64]
    major: NDArray[np.float64]
    trees: NDArray[np.float64]  # number of trees nearby
    signals: NDArray[np.float64]  # number of traffic signals nearby
    street: NDArray[np.int64]  # (E,) index into graph.names: the edge's own name, or a street next to it
    places: list[Place]
    place_near: csr_matrix  # (E, len(places)) 1 if the place lies within PLACE_M
    areas: list[Area]  # the named parks, squares and waters
    area_near: csr_matrix  # (E, len(areas)) metres of the edge in or along the area

    def category_columns(self) -> NDArray[np.int64]:
        """Return each place's index into CATEGORIES, (len(places),)."""
        return np.array([CATEGORIES.index(place.category) for place in self.places], dtype=np.int64)


def look_around(raw: RawMap, graph: WalkGraph) -> Surroundings:
    """Sample each edge every SAMPLE_M metres, and find the things near the samples."""
    samples = [sample_polyline(graph.line(edge), SAMPLE_M) for edge in range(graph.edges)]
    counts = np.array([len(sample) for sample in samples], dtype=np.int64)
    edge_of = np.repeat(np.arange(graph.edges), counts)
    points = _points(np.concatenate(samples))
    shapes = [_on_plane(graph, area.geometry) for area in raw.areas]
    kinds = np.array([area.kind for area in raw.areas])
    parks = [shape for shape, kind in zip(shapes, kinds, strict=True) if kind == "park"]
    water = [
        s
        for s, kind in zip(shapes, kinds, strict=True)
        if kind == "water" and shapely.area(s) >= SMALLEST_WATER_M2
    ]
    shores = [shapely.LineString(graph.projection.to_xy(line)) for line in raw.shorelines]
    majors = [shapely.LineString(graph.line(edge)) for edge in np.flatnonzero(graph.major).tolist()]

    def share(things: Things, metres: float) -> NDArray[np.float64]:
        near = _pairs(points, things, metres)[0]
        is_near = np.zeros(len(points))
        is_near[near] = 1.0
        return np.bincount(edge_of, is_near, minlength=graph.edges) / counts

    def number(latlon: NDArray[np.float64], metres: float) -> NDArray[np.float64]:
        near, thing = _pairs(points, _points(graph.projection.to_xy(latlon)), metres)
        distinct = np.unique(edge_of[near] * (len(latlon) + 1) + thing) // (len(latlon) + 1)
        return np.bincount(distinct, minlength=graph.edges).astype(np.float64)

    park = share(parks, PARK_M)
    named = [i for i, area in enumerate(raw.areas) if area.name]
    return Surroundings(
        park=park,
        water=share([*water, *shores], WATER_M),
        major=share(majors, MAJOR_M),
        trees=number(raw.trees, TREE_M),
        signals=number(raw.signals, PARK_M),
        street=_streets(graph, points, edge_of, park),
        places=raw.places,
        place_near=_places_near(graph, raw.places, points, edge_of),
        areas=[raw.areas[i] for i in named],
        area_near=_areas_near(graph, [shapes[i] for i in named], points, edge_of, counts),
    )


def _on_plane(graph: WalkGraph, shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda lonlat: graph.projection.to_xy(lonlat[:, ::-1]))


def _points(xy: NDArray[np.float64]) -> NDArray[np.object_]:
    return np.asarray(shapely.points(xy), dtype=np.object_)


def _pairs(
    points: NDArray[np.object_], things: Things, metres: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices (point, thing) of all pairs within `metres`."""
    if len(things) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    point, thing = shapely.STRtree(things).query(points, predicate="dwithin", distance=metres)
    return point.astype(np.int64), thing.astype(np.int64)


def _places_near(
    graph: WalkGraph, places: list[Place], points: NDArray[np.object_], edge_of: NDArray[np.int64]
) -> csr_matrix:
    latlon = np.array([place.latlon for place in places], dtype=np.float64).reshape(-1, 2)
    point, place = _pairs(points, _points(graph.projection.to_xy(latlon)), PLACE_M)
    near = csr_matrix((np.ones(len(point)), (edge_of[point], place)), shape=(graph.edges, len(places)))
    near.data[:] = 1.0
    return near


def _areas_near(
    graph: WalkGraph,
    shapes: list[shapely.Geometry],
    points: NDArray[np.object_],
    edge_of: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> csr_matrix:
    point, area = _pairs(points, shapes, PARK_M)
    metres = (graph.length_m / counts)[edge_of[point]]
    return csr_matrix((metres, (edge_of[point], area)), shape=(graph.edges, len(shapes)))


def _streets(
    graph: WalkGraph, points: NDArray[np.object_], edge_of: NDArray[np.int64], park: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return each edge's street.

    A nameless edge, such as a pavement, takes the name of the street beside most of its length.
    """
    street = graph.name.copy()
    named = np.flatnonzero(graph.name)
    if len(named) == 0:
        return street
    tree = shapely.STRtree([shapely.LineString(graph.line(edge)) for edge in named.tolist()])
    point, hit = tree.query_nearest(points, max_distance=STREET_M, all_matches=False)
    names = len(graph.names)
    votes, count = np.unique(edge_of[point] * names + graph.name[named[hit]], return_counts=True)
    edge, name = votes // names, votes % names
    by_votes = np.argsort(count, kind="stable")  # the last write wins: the name with the most votes
    majority = np.zeros(graph.edges, dtype=np.int64)
    majority[edge[by_votes]] = name[by_votes]
    nameless = (street == 0) & (park < 0.5)
    street[nameless] = majority[nameless]
    return street
