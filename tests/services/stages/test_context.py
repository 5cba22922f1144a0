import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features.definition import Feature, FeatureSet
from services.errors import Unprocessable
from services.stages.context import ContextLayout, ContextValue
from tests.services.stages.contexts import LAYOUT


def test_encodes_context_in_one_row_with_defaults() -> None:
    assert LAYOUT.encode({}).numbers == [0.0, 0.0, 7.0, 0.0, 0.0]
    rows = [LAYOUT.encode({"position": [60.0, 25.0], "hour": 3.0}), LAYOUT.encode({"shift": 1.0})]
    columns = LAYOUT.columns(rows)
    np.testing.assert_array_equal(columns["position"], [[60.0, 25.0], [0.0, 0.0]])
    np.testing.assert_array_equal(columns["hour"], [3.0, 0.0])
    np.testing.assert_array_equal(columns["shift"], [7.0, 1.0])


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"unknown": 1.0}, "context.unknown"),
        ({"bias": 1.0}, "context.bias"),
        ({"position": 1.0}, "context.position"),
        ({"position": [1.0]}, "context.position"),
        ({"position": [91.0, 1.0]}, "context.position"),
        ({"position": [1.0, 181.0]}, "context.position"),
        ({"position": [1.0, math.nan]}, "context.position"),
        ({"shift": [1.0]}, "context.shift"),
        ({"shift": 1e39}, "context.shift"),
        ({"shift": -math.inf}, "context.shift"),
        ({"hour": 24.0}, "context.hour"),
        ({"hour": 1.5}, "context.hour"),
        ({"key": 2.0**63}, "context.key"),
        ({"key": 1e300}, "context.key"),
    ],
)
def test_rejects_context_value_out_of_range_and_names_the_field(
    context: dict[str, ContextValue], field: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        LAYOUT.encode(context)
    assert refused.value.field == field


def test_each_number_has_its_own_range() -> None:
    assert LAYOUT.encode({"position": [-89.0, 179.0]}).numbers[:2] == [-89.0, 179.0]


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["shift", "hour", "key"]),
)
def test_accepted_number_fits_the_type_of_the_feature(number: float, name: str) -> None:
    kind = {"shift": np.float32, "hour": np.int32, "key": np.int64}[name]
    try:
        row = LAYOUT.encode({name: number})
    except Unprocessable:
        return
    column = LAYOUT.columns([row])[name].astype(kind)
    assert np.isfinite(column).all()


def test_layout_without_context_features_has_no_columns() -> None:
    layout = ContextLayout(FeatureSet(features=(Feature(name="bias", group="user"),)))
    assert layout.columns([layout.encode({}), layout.encode({})]) == {}
    with pytest.raises(Unprocessable, match="this pipeline; send only these: none"):
        layout.encode({"a": 1.0})


def test_error_truncates_a_long_name() -> None:
    with pytest.raises(Unprocessable) as refused:
        LAYOUT.encode({"x" * 500_000: 1.0})
    assert len(refused.value.detail) < 400
