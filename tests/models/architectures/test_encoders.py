"""Encoders: standardised columns, encoded scalars, distances."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.architectures.encoders import ColumnEncoder, ScalarEncoder, distances
from models.architectures.options import ScalarColumn


def test_columns_are_concatenated_and_standardised() -> None:
    encoder = ColumnEncoder({"attributes": (2,), "popularity": ()})
    inputs = {"item_attributes": torch.randn(5, 3, 2) * 4 + 7, "item_popularity": torch.ones(5, 3)}
    encoder.fit(encoder.raw(inputs, "item_").reshape(-1, 3))
    encoded = encoder(inputs, "item_")
    assert encoded.shape == (5, 3, 3)
    np.testing.assert_allclose(encoded[..., :2].mean(dim=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(encoded[..., :2].reshape(-1, 2).std(dim=0, correction=0), 1, atol=1e-4)
    assert encoded[..., 2].abs().max() == 0  # a constant column is centred but not scaled


def test_extreme_values_are_clamped() -> None:
    encoder = ColumnEncoder({"x": ()})
    assert encoder({"x": torch.tensor([1e30, -1e30])}).flatten().tolist() == [8.0, -8.0]


def test_fitting_to_no_rows_changes_nothing() -> None:
    encoder = ColumnEncoder({"x": ()})
    encoder.fit(torch.zeros(0, 1))
    assert encoder({"x": torch.tensor([2.0])}).item() == 2.0


def test_cyclic_values_one_period_apart_are_encoded_equally() -> None:
    encoder = ScalarEncoder([ScalarColumn(name="hour", encoding="cyclic", period=24, harmonics=3)])
    assert encoder.width == 6
    midnight, next_midnight, noon = encoder({"hour": torch.tensor([0.0, 24.0, 12.0])})
    np.testing.assert_allclose(midnight, next_midnight, atol=1e-5)
    assert (midnight - noon).abs().max() > 1


def test_log_encoding_treats_negative_values_as_zero() -> None:
    encoder = ScalarEncoder([ScalarColumn(name="rain", encoding="log")])
    values = encoder({"rain": torch.tensor([-5.0, 0.0, math.e - 1])})
    np.testing.assert_allclose(values.flatten(), [0, 0, 1], atol=1e-6)


@pytest.mark.parametrize("document", [{"encoding": "cyclic"}, {"encoding": "log", "period": 24}])
def test_rejects_cyclic_encoding_without_period_and_period_without_it(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="period"):
        ScalarColumn.model_validate({"name": "hour", **document})


@pytest.mark.parametrize(
    ("start", "km"),
    [
        ((60.17, 24.94), 0.0),
        ((61.17, 24.94), 111.195),  # one degree north, clamped to 100 km
        ((60.17, 25.04), 111.195 * 0.1 * math.cos(math.radians(60.17))),
        ((60.18, 24.94), 1.11195),
    ],
)
def test_distances_are_in_kilometres(start: tuple[float, float], km: float) -> None:
    position = torch.tensor([[60.17, 24.94]], dtype=torch.float64)
    result = distances(position, torch.tensor([[start]], dtype=torch.float64))
    assert result.shape == (1, 1, 2)
    assert result[0, 0, 0].item() == pytest.approx(min(km, 100.0), rel=1e-3, abs=1e-6)
    assert result[0, 0, 1].item() == pytest.approx(math.log1p(min(km, 100.0)), rel=1e-3, abs=1e-6)
