"""Gates for configuration changes, such as ``cost>1.1x``. They compare simulations before and after the change."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoscale.errors import AutoscaleError
from autoscale.reports.html import miss_share
from autoscale.simulator.results import Simulation

FIGURES: Mapping[str, Callable[[Simulation], float]] = {
    "cost": lambda s: s.cost,
    "misses": miss_share,
    "degraded": lambda s: s.requests.degraded / max(s.requests.arrived, 1.0),
    "shed": lambda s: s.requests.shed / max(s.requests.arrived, 1.0),
    "p50_ms": lambda s: s.latency.p50_ms,
    "p95_ms": lambda s: s.latency.p95_ms,
    "p99_ms": lambda s: s.latency.p99_ms,
    "violated_s": lambda s: s.violated_s,
    "replica_seconds": lambda s: sum(unit.replica_seconds for unit in s.units.values()),
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_EXPRESSION = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|>|<)\s*([0-9.]+(?:e-?[0-9]+)?)\s*(x|%)?\s*")


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition under which a new configuration fails.

    Attributes:
        text: the condition as the user wrote it.
        figure: a key of ``FIGURES``.
        comparison: ">", ">=", "<" or "<=".
        number: the limit.
        relative: whether the limit is a multiple of the old configuration's figure.
    """

    text: str
    figure: str
    comparison: str
    number: float
    relative: bool

    def fault(self, old: Simulation, new: Simulation) -> str | None:
        """Return a message if the new configuration fails, otherwise None. A figure without a value (NaN) fails."""
        value = FIGURES[self.figure](new)
        limit = self.number * (FIGURES[self.figure](old) if self.relative else 1.0)
        unknown = math.isnan(value) or math.isnan(limit)
        if not unknown and not _COMPARISONS[self.comparison](value, limit):
            return None
        return f"{self.text}: {self.figure} is {value:.6g}, and the limit is {limit:.6g}"


def parse_gate(text: str) -> Gate:
    """Parse a gate: a figure, a comparison (> >= < <=), and a limit.

    The limit is a number, a percentage, or a multiple of the old figure. Examples are ``p99_ms>80``, ``misses>1%`` and
    ``cost>1.1x``.

    Raises:
        AutoscaleError: the text is not a gate.
    """
    match = _EXPRESSION.fullmatch(text)
    if match is None or match[1] not in FIGURES:
        raise AutoscaleError(
            f"--fail-if: expected a condition such as cost>1.1x, misses>1% or p99_ms>80, got {text!r}; "
            f"begin it with one of {', '.join(FIGURES)}"
        )
    try:
        number = float(match[3])
    except ValueError:
        raise AutoscaleError(f"--fail-if {text!r}: expected a number, got {match[3]}") from None
    return Gate(
        text.strip(), match[1], match[2], number / 100 if match[4] == "%" else number, match[4] == "x"
    )
