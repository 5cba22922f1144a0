"""The search space: every policy's numbers are within their bounds."""

from typing import Any

import pytest

from autoscale.config import AutoscalingConfig
from autoscale.tuner.search_space import defaults, numbers, policy_kinds, suggested

BASE = AutoscalingConfig.model_validate({"p99_ms": 80.0, "policy": {"kind": "target_ongoing"}})


class Corner:
    """A trial that always chooses the lowest, the middle or the highest value."""

    def __init__(self, kind: str, fraction: float) -> None:
        self._kind, self._fraction = kind, fraction

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return low + (high - low) * self._fraction

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return round(low + (high - low) * self._fraction)

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self._kind


@pytest.mark.parametrize("kind", policy_kinds())
@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_corners_of_the_space_are_valid_configurations(kind: str, fraction: float) -> None:
    config = suggested(Corner(kind, fraction), [kind], BASE)
    assert config is not None
    assert (config.policy.kind, config.p99_ms) == (kind, 80.0)


@pytest.mark.parametrize("kind", policy_kinds())
def test_defaults_lie_within_the_space(kind: str) -> None:
    numbers_by_name = {f"{kind}:{number.name}": number for number in numbers(kind)}
    assert len(numbers_by_name) >= 4
    for name, value in defaults(kind).items():
        assert numbers_by_name[name].low <= value <= numbers_by_name[name].high


def test_search_space_of_serves_policy_includes_short_delays() -> None:
    delay = next(number for number in numbers("target_ongoing") if number.name == "policy.upscale_delay_s")
    assert delay.low == 0.0
    assert all(not number.name.startswith("limits") for number in numbers("target_ongoing"))
