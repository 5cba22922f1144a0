"""Positions whose latitude and longitude are swapped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features.definition import Feature, FeatureSet
from services.errors import Unprocessable
from services.stages.context import ContextLayout
from services.stages.extent import Extent

HELSINKI = Extent.of(np.array([[60.1, 24.8], [60.3, 25.2], [60.2, 25.0]], dtype=np.float64))
FEATURES = FeatureSet(
    features=(
        Feature(name="hour", group="context"),
        Feature(name="position", group="context", dtype="float64", shape=(2,), default=(24.9, 60.2)),
    )
)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (60.2, 25.0),
        (59.1, 23.8),  # the corner of the region with its margin of one degree
        (61.3, 26.2),
        (59.099, 25.0),  # outside, but swapped it lies outside too
        (0.0, 0.0),
        (48.1, 11.6),
    ],
)
def test_position_inside_or_far_from_everything_is_accepted(latitude: float, longitude: float) -> None:
    HELSINKI.refuse_swapped(latitude, longitude)


@pytest.mark.parametrize(("latitude", "longitude"), [(25.0, 60.2), (23.8, 59.1), (26.2, 61.3)])
def test_swapped_position_is_refused_up_to_the_border(latitude: float, longitude: float) -> None:
    with pytest.raises(Unprocessable) as refused:
        HELSINKI.refuse_swapped(latitude, longitude)
    assert refused.value.field == "context.position"
    assert f"did you mean [{longitude:g}, {latitude:g}]?" in refused.value.detail


@pytest.mark.parametrize(("latitude", "longitude"), [(26.201, 61.3), (26.2, 61.301), (23.799, 59.1)])
def test_swapped_position_beyond_the_border_is_accepted(latitude: float, longitude: float) -> None:
    HELSINKI.refuse_swapped(latitude, longitude)


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_catalogue_with_equal_latitudes_and_longitudes_refuses_nothing(
    latitude: float, longitude: float
) -> None:
    Extent.of(np.array([[-5.0, -5.0], [5.0, 5.0]])).refuse_swapped(latitude, longitude)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (78.2, 15.6),  # Svalbard
        (69.6, 18.9),
        (-77.8, 166.7),
    ],
)
def test_a_catalogue_of_the_whole_world_accepts_people_outside_its_items(
    latitude: float, longitude: float
) -> None:
    cities = Extent.of(
        np.array([[64.1, -21.9], [-54.8, -68.3], [21.3, -157.9], [-36.8, 174.8], [1.3, 103.8]])
    )
    cities.refuse_swapped(latitude, longitude)
    with pytest.raises(Unprocessable, match=r"did you mean \[1\.3, 103\.8\]"):
        cities.refuse_swapped(103.8, 1.3)


def test_layout_refuses_only_positions_that_a_caller_sent() -> None:
    layout = ContextLayout(FEATURES, HELSINKI)
    with pytest.raises(Unprocessable, match="did you mean"):
        layout.encode({"position": [24.9, 60.2], "hour": 1.0})
    assert layout.encode({"hour": 1.0}).numbers == [1.0, 24.9, 60.2]
    assert layout.sample().numbers == [0.0, 24.9, 60.2]
    assert ContextLayout(FEATURES).encode({"position": [24.9, 60.2]}).numbers[1:] == [24.9, 60.2]
