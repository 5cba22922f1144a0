"""The figures of one model, as text and as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.runtimes.parity import Parity
from benchmarks.runtimes.speed import Speed
from benchmarks.runtimes.starts import Start


@dataclass(frozen=True, slots=True)
class Figures:
    """One model's figures.

    Attributes:
        refused: the reasons of the sides that cannot load the model.
    """

    model: str
    parity: Sequence[Parity]
    speeds: Sequence[Speed]
    starts: Sequence[Start]
    refused: Mapping[str, str]

    def data(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return asdict(self)


def tables(figures: Figures) -> str:
    """Return the figures as text."""
    lines = [f"## {figures.model}"]
    if figures.parity:
        lines += ["", f"scores, differences from {figures.parity[0].reference}:"]
        lines.append(f"{'runtime':<18} {'absolute':>9} {'relative':>9}  {'':<6} tolerance")
        lines += [
            f"{p.side:<18} {p.absolute:>9.1e} {p.relative:>9.1e}  {'within' if p.within else 'NOT':<6} {p.tolerance}"
            for p in figures.parity
        ]
    if figures.speeds:
        lines += ["", "p50 ms of a request (its ratio to ONNX Runtime, spread), by candidates:"]
        lines += _speed_lines(figures.speeds)
    if figures.starts:
        lines += ["", "start in a new process:"]
        lines.append(
            f"{'runtime':<18} {'import+load ms':>14} {'warm-up ms':>11} {'load ms':>8} {'own MiB':>8} "
            f"{'mapped MiB':>11} {'model MiB':>10}"
        )
        lines += [
            f"{s.side:<18} {s.first_ms:>14.0f} {s.warm_up_ms:>11.1f} {s.load_ms:>8.1f} {s.anonymous_mib:>8.1f} "
            f"{s.mapped_mib:>11.1f} {s.model_mib:>10.1f}"
            for s in figures.starts
        ]
    # The remedy follows the first semicolon. It is for a user who wants this runtime.
    lines += ["", *(f"{side}: {reason.partition(';')[0]}" for side, reason in figures.refused.items())]
    return "\n".join(lines)


def _speed_lines(speeds: Sequence[Speed]) -> list[str]:
    counts = sorted({speed.candidates for speed in speeds})
    cells = {(s.side, s.candidates): f"{s.p50_ms:.3g} ({s.of_onnx:.2f}, {s.spread:.0%})" for s in speeds}
    rows = [f"{'runtime':<18}" + "".join(f" {count:>22,}" for count in counts)]
    rows += [
        f"{side:<18}" + "".join(f" {cells.get((side, count), '-'):>22}" for count in counts)
        for side in dict.fromkeys(speed.side for speed in speeds)
    ]
    return rows
