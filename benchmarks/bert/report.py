"""The figures of the ladder, as text and as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bert.mixes import shown
from benchmarks.bert.published import FACTORS, TOTAL
from benchmarks.bert.rounds import DISTURBED_CORES, Measured


@dataclass(frozen=True, slots=True)
class Ladder:
    """One mix's figures.

    Attributes:
        lengths: the distribution of the requests' tokens.
        rungs: with all instructions of this CPU.
        runtimes: the candidates for the best runtime, with PyTorch's int8 first.
        limited: without VNNI, bfloat16 and AMX.
    """

    mix: str
    lengths: Mapping[str, float]
    rungs: Sequence[Measured]
    runtimes: Sequence[Measured]
    limited: Sequence[Measured]

    def data(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "mix": self.mix,
            "tokens": dict(self.lengths),
            "rungs": _rows(self.rungs),
            "runtimes": _rows(self.runtimes),
            "without_vnni": _rows(self.limited),
        }


def _rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    rows = []
    for before, each in zip([None, *measured], measured, strict=False):
        rows.append(
            {
                **asdict(each.rung),
                "rps": sorted(each.rps)[len(each.rps) // 2],
                "p50_ms": each.percentile_ms(50),
                "p99_ms": each.percentile_ms(99),
                "gain": each.gain,
                "gain_range": [min(each.gains), max(each.gains)],
                "factor": each.gain / before.gain if before is not None else 1.0,
                "published": FACTORS.get(each.rung.name),
                "padding": 1 - each.tokens / each.slots if each.slots else 0.0,
                "agreement": None if each.agreement != each.agreement else each.agreement,
                "hit_rate": each.hits / len(each.latencies_ms) if each.rung.cache else None,
                "rounds": len(each.rps),
                "foreign_cores": max(each.foreign_cores),
            }
        )
    return rows


def tables(ladder: Ladder) -> str:
    """Return the figures as text."""
    lines = [f"## {ladder.mix}", "", f"tokens in a request: {shown(ladder.lengths)}", ""]
    lines += [*_table(_rows(ladder.rungs)), "", f"published gain of all rungs together: {TOTAL}"]
    lines += ["", "candidates for the best runtime, in one process:", "", *_table(_rows(ladder.runtimes))]
    if ladder.limited:
        lines += ["", "without VNNI, bfloat16 and AMX:", "", *_table(_rows(ladder.limited))]
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        f"{'rung':<18} {'engine':<14} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'factor':>7} {'gain':>7} "
        f"{'(range)':<15} {'padding':>7}  published"
    ]
    for row in rows:
        low, high = row["gain_range"]
        disturbed = (
            f" DISTURBED by {row['foreign_cores']:.1f} cores"
            if row["foreign_cores"] > DISTURBED_CORES
            else ""
        )
        hits = f" {row['hit_rate']:.0%} hits;" if row["hit_rate"] is not None else ""
        lines.append(
            f"{row['name']:<18} {row['engine']:<14} {row['rps']:>10.1f} {row['p50_ms']:>8.2f} {row['p99_ms']:>8.2f} "
            f"{row['factor']:>7.2f} {row['gain']:>7.2f} {f'({low:.1f}-{high:.1f})':<15} {row['padding']:>7.0%} "
            f"{hits} {row['published'] or '-'}{disturbed}"
        )
    return lines
