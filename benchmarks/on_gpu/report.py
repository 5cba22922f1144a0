"""The figures as text and as a verdict on the goal."""

from collections.abc import Mapping
from typing import Any

GOAL_SHARE = 0.4
"""Share of the card's measured bf16 rate that the HSTU-like ranker must reach on a Hopper card."""
GOAL_WORKLOAD = "hstu"


def goal(rows: list[dict[str, Any]], *, is_hopper: bool) -> dict[str, Any] | None:
    """Return the best share of the workload with the goal, or None if it has no row.

    Variants whose histories are encoded before do not count.
    """
    shares = [
        row for row in rows if row["workload"] == GOAL_WORKLOAD and not row["variant"].startswith("encoded")
    ]
    if not shares:
        return None
    best = max(shares, key=lambda row: row["operations_share"])
    return {
        "share": best["operations_share"],
        "variant": best["variant"],
        "candidates": best["candidates"],
        "goal": GOAL_SHARE,
        "applies": is_hopper,
        "reached": best["operations_share"] >= GOAL_SHARE if is_hopper else None,
    }


def as_text(result: Mapping[str, Any]) -> str:
    """Return the figures as a table."""
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    rates = result["rates"]
    lines = [
        machine,
        f"measured: {rates['operations_per_s'] / 1e12:.1f} TFLOP/s in {result['dtype']}, "
        f"{rates['bytes_per_s'] / 1e9:.0f} GB/s copied",
        f"{'workload':12} {'cand.':>6} {'variant':26} {'batch':>5} {'ms':>9} {'cand./s':>11} {'FLOP/s':>7} "
        f"{'bytes/s':>7} {'load/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'missed':>6} {'differs':>8}",
    ]
    for row in result["rows"]:
        load = row.get("under_load")
        under_load = (
            f"{load['rate']:9.1f} {load['p50_ms']:9.3f} {load['p99_ms']:9.3f} {load['missed']:6}"
            if load
            else f"{'':9} {'':9} {'':9} {'':6}"
        )
        lines.append(
            f"{row['workload'][:12]:12} {row['candidates']:6} {row['variant']:26} {row['requests_per_batch']:5} "
            f"{row['batch_ms']:9.3f} {row['candidates_per_s']:11,} {row['operations_share']:7.1%} "
            f"{row.get('bytes_share', 0):7.1%} {under_load} {row['largest_difference']:8.5f}"
        )
    lines += [f"not run: {name}: {reason}" for name, reason in result["not_run"].items()]
    lines += [f"FAILED: {name}: {error}" for name, error in result["failed"].items()]
    verdict = result["goal"]
    if verdict is not None and verdict["applies"]:
        reached = "reached" if verdict["reached"] else "NOT REACHED"
        lines.append(
            f"goal of {verdict['goal']:.0%} of the measured bf16 rate: {reached}, {verdict['share']:.1%} by "
            f"{verdict['variant']} with {verdict['candidates']} candidates"
        )
    elif verdict is not None:
        lines.append(f"goal of {verdict['goal']:.0%} of the measured bf16 rate: only for Hopper cards")
    return "\n".join(lines)
