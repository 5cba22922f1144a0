"""Options of the step: read from YAML by kind, and refused if the mode does not read them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models.compress.steps.quantization import options
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.registry import StepConfig


def test_registry_finds_the_step() -> None:
    found = TypeAdapter(StepConfig).validate_python({"kind": "quantize", "mode": "embeddings", "min_rows": 9})
    assert found == QuantizeOptions(mode="embeddings", min_rows=9)


def test_refuses_an_option_that_the_mode_does_not_read() -> None:
    with pytest.raises(
        ValidationError, match="min_rows: mode dynamic does not read it; remove it, or use mode"
    ):
        QuantizeOptions.model_validate({"kind": "quantize", "min_rows": 9})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "nncf", "keep": 0.2}, "keep: mode nncf does not read it"),
        (
            {"mode": "nncf", "calibration": {"method": "minmax"}},
            r"calibration\.method: mode nncf does not read it, because NNCF has its own method, got minmax",
        ),
        (
            {"mode": "static", "calibration": {"method": "minmax", "percentile": 99.9}},
            r"percentile: method minmax does not read it, got 99\.9; remove it, or use method: percentile",
        ),
        ({"keep": 1.0}, "less than 1"),
        ({"keep": -0.1}, "greater than or equal to 0"),
        ({"sensitivity": "loss"}, "'error' or 'curvature'"),
        (
            {"sensitivity_lists": 9},
            "sensitivity_lists: no sensitivity is measured without keep, sensitivity or moq",
        ),
    ],
)
def test_refuses_bad_choices_and_unread_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QuantizeOptions(**options)


def test_weights_in_seven_bits_are_another_step(monkeypatch: pytest.MonkeyPatch) -> None:
    automatic, chosen = QuantizeOptions(), QuantizeOptions(reduce_range=False)
    monkeypatch.setattr(options, "sums_int8_exactly", lambda: True)
    assert automatic.of_machine == chosen.of_machine == ""
    monkeypatch.setattr(options, "sums_int8_exactly", lambda: False)
    assert automatic.of_machine != chosen.of_machine
