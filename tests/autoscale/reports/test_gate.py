"""Gates: valid and invalid conditions."""

import pytest

from autoscale.errors import AutoscaleError
from autoscale.reports.gate import Gate, parse_gate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cost>1.1x", Gate("cost>1.1x", "cost", ">", 1.1, True)),
        ("misses > 1%", Gate("misses > 1%", "misses", ">", 0.01, False)),
        ("p99_ms>=80", Gate("p99_ms>=80", "p99_ms", ">=", 80.0, False)),
        ("violated_s>6e1", Gate("violated_s>6e1", "violated_s", ">", 60.0, False)),
    ],
)
def test_parses_conditions(text: str, expected: Gate) -> None:
    assert parse_gate(text) == expected


@pytest.mark.parametrize("text", ["", "cost", "cost>", "cost=1", "joy>1", "cost>-1", "cost>1y", "cost>1.1.1"])
def test_rejects_invalid_condition(text: str) -> None:
    with pytest.raises(AutoscaleError, match="--fail-if"):
        parse_gate(text)
