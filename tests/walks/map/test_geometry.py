import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from walks.map.geometry import Projection, haversine_m, polyline_length, sample_polyline

coordinate = st.floats(-900.0, 900.0)
polyline = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=12).map(np.array)


def test_projection_can_be_inverted() -> None:
    projection = Projection(60.17, 24.94)
    latlon = np.array([[60.17, 24.94], [60.18, 24.93], [60.1612, 24.9571]])
    assert projection.to_latlon(projection.to_xy(latlon)) == pytest.approx(latlon, abs=1e-12)


def test_plane_distances_agree_with_the_sphere() -> None:
    projection = Projection(60.1716, 24.9443)
    a = np.array([[60.1642, 24.9352], [60.1700, 24.9400]])
    b = np.array([[60.1791, 24.9534], [60.1701, 24.9402]])
    plane = np.hypot(*(projection.to_xy(a) - projection.to_xy(b)).T)
    assert plane == pytest.approx(haversine_m(a, b), rel=3e-4)


@given(polyline, st.floats(1.0, 50.0))
def test_samples_are_evenly_spaced_along_the_line(line: np.ndarray, step_m: float) -> None:
    samples = sample_polyline(line, step_m)
    assert len(samples) == max(1, int(np.ceil(polyline_length(line) / step_m)))
    assert (samples.min(axis=0) >= line.min(axis=0) - 1e-6).all()
    assert (samples.max(axis=0) <= line.max(axis=0) + 1e-6).all()
    gaps = np.hypot(*np.diff(samples, axis=0).T)
    assert (gaps <= step_m + 1e-6).all()
