"""Local plane geometry. Over a 2 km map an equirectangular projection is exact to a few centimetres."""

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_008.8


class Projection:
    """Converts degrees to metres east and north of an origin, and back.

    Arrays are (N, 2): lat, lon degrees, or x, y metres.
    """

    def __init__(self, origin_lat: float, origin_lon: float) -> None:
        """Take the origin, in degrees."""
        self.origin = np.array([origin_lat, origin_lon])
        north = np.radians(1.0) * EARTH_RADIUS_M
        self._metres_per_degree = np.array([north, north * np.cos(np.radians(origin_lat))])

    def to_xy(self, latlon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert (N, 2) lat, lon degrees to (N, 2) x, y metres."""
        return np.asarray(((latlon - self.origin) * self._metres_per_degree)[:, ::-1])

    def to_latlon(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert (N, 2) x, y metres to (N, 2) lat, lon degrees."""
        return np.asarray(xy[:, ::-1] / self._metres_per_degree + self.origin)


def polyline_length(xy: NDArray[np.float64]) -> float:
    """Return a polyline's length in metres, from its points (N, 2)."""
    return float(np.hypot(*np.diff(xy, axis=0).T).sum())


def sample_polyline(xy: NDArray[np.float64], step_m: float) -> NDArray[np.float64]:
    """Split a polyline into equal pieces of at most `step_m`, and return their middles: (n, 2), n >= 1."""
    leg = np.hypot(*np.diff(xy, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(leg)])
    count = max(1, int(np.ceil(along[-1] / step_m)))
    distance = (np.arange(count) + 0.5) * along[-1] / count
    return np.stack([np.interp(distance, along, xy[:, 0]), np.interp(distance, along, xy[:, 1])], axis=1)


def haversine_m(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the great-circle distances (N,) in metres between `a` and `b`, row by row, (N, 2) lat, lon degrees."""
    lat_a, lon_a, lat_b, lon_b = (np.radians(v) for v in (a[:, 0], a[:, 1], b[:, 0], b[:, 1]))
    h = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(h)))
