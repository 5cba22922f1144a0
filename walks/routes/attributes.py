"""A route's numeric attributes: the catalogue's `attributes` column.

Scales are fixed here and not fitted to a catalogue, so a number means the same in every version of the map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from walks.map.graph import SURFACES, WalkGraph
from walks.map.places import CATEGORIES
from walks.map.surroundings import Surroundings
from walks.routes.routes import Routes

FOLLOWED_M = 30.0
TURN_DEGREES = 40.0


@dataclass(frozen=True)
class Attribute:
    """One column: its natural value divided by `scale`, after log1p if `log` is set."""

    name: str
    what: str
    scale: float = 1.0
    log: bool = False


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("length_km", "length in km", scale=6.0),
    Attribute("loop", "1 if the route ends where it starts"),
    *(Attribute(f"surface_{name}", f"share of the length on {name} ground") for name in SURFACES),
    Attribute("park", "share of the length in or along parks and gardens"),
    Attribute("water", "share of the length within 40 m of water"),
    Attribute("major", "share of the length within 15 m of a primary or secondary road"),
    Attribute("foot_only", "share of the length on ways without motor traffic"),
    Attribute("stairs", "share of the length on stairs", scale=0.2),
    Attribute("stair_flights", "flights of stairs", scale=3.0, log=True),
    Attribute("turns_per_km", "changes of direction over 40 degrees per km", scale=40.0),
    Attribute("straightness", "distance from start to end over length"),
    Attribute("roundness", "enclosed area over the area of a circle with the same length"),
    Attribute("streets", "named streets followed for over 30 m", scale=20.0),
    Attribute("trees", "mapped single trees within 12 m", scale=5.0, log=True),
    Attribute("signals", "traffic signals passed", scale=5.0, log=True),
    *(Attribute(f"places_{name}", f"{name} places within 25 m", scale=5.0, log=True) for name in CATEGORIES),
)
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)


@dataclass(frozen=True)
class RouteFacts:
    """Natural values for R routes, and the streets, areas and places that they pass."""

    values: NDArray[np.float64]  # (R, F) natural values in the order of ATTRIBUTES
    lines: list[NDArray[np.float64]]  # geometry in metres, (n, 2) each
    street_m: csr_matrix  # (R, len(graph.names)) metres along each street
    area_m: csr_matrix  # (R, len(around.areas)) metres in each named park, square or water
    places: csr_matrix  # (R, len(around.places)) 1 if the route passes the place
    first_street: NDArray[
        np.int64
    ]  # (R,) the first named street's index into graph.names, 0 if there is none
    last_street: NDArray[np.int64]  # (R,) the same for the last named street

    def column(self, name: str) -> NDArray[np.float64]:
        """Return an attribute's natural values (R,)."""
        return self.values[:, NAMES.index(name)]

    def normalised(self) -> NDArray[np.float32]:
        """Return the scaled values (R, F) float32. Most lie between 0 and 1."""
        out = self.values.copy()
        for i, attribute in enumerate(ATTRIBUTES):
            out[:, i] = (np.log1p(out[:, i]) if attribute.log else out[:, i]) / attribute.scale
        return out.astype(np.float32)


def measure(graph: WalkGraph, around: Surroundings, routes: Routes) -> RouteFacts:
    """Measure every route's attributes."""
    count = len(routes)
    route = routes.route_of_edge()
    metres = graph.length_m[routes.edges]
    length = np.bincount(route, metres, minlength=count)

    def share(per_edge: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(route, metres * per_edge[routes.edges], minlength=count) / length

    def total(per_edge: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(route, per_edge[routes.edges], minlength=count).astype(np.float64)

    walks = csr_matrix((np.ones(len(route)), (route, routes.edges)), shape=(count, graph.edges))
    names = len(graph.names)
    street = around.street[routes.edges]
    on_street = csr_matrix((metres, (route, street)), shape=(count, names))
    on_street.data[on_street.indices == 0] = 0.0  # street 0 stands for edges without a name
    on_street.eliminate_zeros()
    followed = on_street.tocoo()
    passed = (walks @ around.place_near).tocsr()
    passed.data[:] = 1.0
    kinds = csr_matrix(
        (np.ones(len(around.places)), (np.arange(len(around.places)), around.category_columns())),
        shape=(len(around.places), len(CATEGORIES)),
    )
    lines = [routes.line(graph, row) for row in range(count)]
    shape = np.array([_shape(line) for line in lines])
    columns = [
        length / 1000.0,
        routes.loop.astype(np.float64),
        *(share((graph.surface == kind).astype(np.float64)) for kind in range(len(SURFACES))),
        share(around.park),
        share(around.water),
        share(around.major),
        share(graph.foot_only.astype(np.float64)),
        share(graph.stairs.astype(np.float64)),
        _flights(routes, graph.stairs),
        shape[:, 0],
        shape[:, 1],
        shape[:, 2],
        np.bincount(followed.row[followed.data > FOLLOWED_M], minlength=count),
        total(around.trees),
        total(around.signals),
        *np.asarray((passed @ kinds).todense()).T,
    ]
    return RouteFacts(
        values=np.stack(columns, axis=1),
        lines=lines,
        street_m=on_street,
        area_m=(walks @ around.area_near).tocsr(),
        places=passed,
        first_street=_first_named(street, route, count),
        last_street=_first_named(street[::-1], route[::-1], count),
    )


def _flights(routes: Routes, stairs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how often each route begins a run of stair edges, (R,)."""
    on = stairs[routes.edges]
    before = np.concatenate([[False], on[:-1]])
    before[routes.offsets[:-1]] = False
    begins = (on & ~before).astype(np.float64)
    return np.bincount(routes.route_of_edge(), begins, minlength=len(routes)).astype(np.float64)


def _first_named(street: NDArray[np.int64], route: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return each route's first named street, or 0 if it has none."""
    named = np.flatnonzero(street)
    routes, first = np.unique(route[named], return_index=True)
    streets = np.zeros(count, dtype=np.int64)
    streets[routes] = street[named[first]]
    return streets


def _shape(line: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return a polyline's turns per km, straightness and roundness."""
    leg = np.diff(line, axis=0)
    metres = np.hypot(leg[:, 0], leg[:, 1])
    leg, long = leg[metres > 2.0], float(metres.sum())
    heading = np.unwrap(np.arctan2(leg[:, 1], leg[:, 0]))
    turns = int((np.abs(np.diff(heading)) > np.radians(TURN_DEGREES)).sum())
    x, y = line[:, 0], line[:, 1]
    area = 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    beeline = float(np.hypot(*(line[-1] - line[0])))
    return 1000.0 * turns / long, beeline / long, 4 * np.pi * area / long**2
