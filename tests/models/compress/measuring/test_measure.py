"""Measuring a child: whose fault it is if a model cannot be executed."""

from pathlib import Path

import pytest

from models.compress.measuring.measure import Meter
from models.compress.measuring.worker import SideFailure
from models.compress.recipe import MeasureConfig
from tests.models.compress.homes import damage_golden, data_in, model_in


def test_child_is_not_at_fault_if_the_original_fails(home: Path) -> None:
    original, child = model_in(home), model_in(home, "distilled")
    meter = Meter(MeasureConfig(candidates=(5,), seconds=0.01), data_in(home), original)
    damage_golden(original)
    with pytest.raises(SideFailure, match=r"original: .* failed on its golden requests") as raised:
        meter.measure(child, original, lambda *_: None)
    assert raised.value.side == "original"
