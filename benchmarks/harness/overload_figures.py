"""An overload's figures: goodput, rungs, recovery and their spread over repeats."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.results import Answered

_RECOVERED = 1.5
"""The p99 is normal again if it is at most this many times the p99 before the burst."""
_UNDEGRADED = 0.99


def summary(answers: Sequence[Answered], window_s: float, deadline_s: float = math.inf) -> dict[str, Any]:
    """Return the goodput, by rung and by priority, and the latencies for answers and refusals.

    An answer is "late" if it comes more than ``deadline_s`` after its request was scheduled. The goodput excludes it.
    """
    good: list[float] = []
    refused: list[float] = []
    rungs: Counter[str] = Counter()
    by_priority: dict[str, Counter[str]] = {"high": Counter(), "low": Counter()}
    other_statuses: Counter[str] = Counter()
    for answer in answers:
        status, latency_s = int(answer.data[9:12]), answer.answered_s - answer.started_s
        counts = by_priority["high" if b"x-request-id: high" in answer.data else "low"]
        if status == 200 and latency_s > deadline_s:
            other_statuses["late"] += 1
        elif status == 200:
            good.append(latency_s)
            degraded = json.loads(answer.data.partition(b"\r\n\r\n")[2])["degraded"] or "whole"
            rungs[degraded] += 1
            counts["whole" if degraded == "whole" else "less"] += 1
        elif status == 429:
            refused.append(latency_s)
            counts["refused"] += 1
        else:
            other_statuses[str(status)] += 1
    return {
        "goodput_rps": len(good) / window_s,
        "whole_rps": rungs["whole"] / window_s,
        "undegraded_share": rungs["whole"] / max(1, len(answers)),
        "refused_rps": len(refused) / window_s,
        "other_statuses": dict(other_statuses),
        "good_p50_ms": _percentile_ms(good, 50),
        "good_p99_ms": _percentile_ms(good, 99),
        "refused_p99_ms": _percentile_ms(refused, 99),
        "rungs": dict(rungs.most_common()),
        "priorities": {name: dict(counts) for name, counts in by_priority.items()},
    }


def recovery_s(answers: Sequence[Answered], burst_end_s: float, normal_p99_ms: float) -> float | None:
    """Return the seconds after the burst until the p99 over all later answers is normal, or None if it never is."""
    ages_s = np.array([answer.started_s - burst_end_s for answer in answers])
    latencies_s = np.array([answer.answered_s - answer.started_s for answer in answers])
    for second in range(int(ages_s.max(initial=0)) + 1):
        if _percentile_ms(latencies_s[ages_s >= second].tolist(), 99) <= _RECOVERED * normal_p99_ms:
            return float(second)
    return None


def undegraded_again_s(answers: Sequence[Answered], burst_end_s: float) -> float | None:
    """Return the seconds after the burst until 99% of all later answers are undegraded, or None if they never are."""
    ages_s = np.array([answer.started_s - burst_end_s for answer in answers])
    whole = np.array([_is_undegraded(answer.data) for answer in answers])
    for second in range(int(ages_s.max(initial=0)) + 1):
        if whole[ages_s >= second].mean() >= _UNDEGRADED:
            return float(second)
    return None


def _is_undegraded(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head[9:12] == b"200" and json.loads(body)["degraded"] is None


def _percentile_ms(latencies_s: Sequence[float], share: float) -> float:
    return float(np.percentile(latencies_s, share) * 1e3) if latencies_s else float("nan")


def verdict(repeats: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the main figures at the largest multiple of the capacity: their median, least and most over repeats."""

    def spread(values: Sequence[float]) -> dict[str, float]:
        return {"median": float(np.median(values)), "least": min(values), "most": max(values)}

    largest = max(repeats[0]["multiples"], key=float)
    bursts = [repeat["multiples"][largest] for repeat in repeats]
    peaks = [
        max(repeat["closed"]["goodput_rps"], *(m["goodput_rps"] for m in repeat["multiples"].values()))
        for repeat in repeats
    ]
    figures = {
        "capacity_rps": [repeat["closed"]["goodput_rps"] for repeat in repeats],
        "peak_goodput_rps": peaks,
        "goodput_rps": [burst["goodput_rps"] for burst in bursts],
        "undegraded_share": [burst["undegraded_share"] for burst in bursts],
        "goodput_of_peak": [b["goodput_rps"] / peak for b, peak in zip(bursts, peaks, strict=True)],
        "goodput_of_capacity": [
            b["goodput_rps"] / r["closed"]["goodput_rps"] for b, r in zip(bursts, repeats, strict=True)
        ],
        "refused_p99_ms": [burst["refused_p99_ms"] for burst in bursts],
        "recovery_s": [np.inf if b["recovery_s"] is None else b["recovery_s"] for b in bursts],
        "undegraded_again_s": [
            np.inf if b["undegraded_again_s"] is None else b["undegraded_again_s"] for b in bursts
        ],
        "rss_growth_mib": [b["replicas_rss_mib"]["most"] - b["replicas_rss_mib"]["before"] for b in bursts],
        "client_cores": [burst["client_cores"] for burst in bursts],
        "send_lag_p99_ms": [burst["send_lag_p99_ms"] for burst in bursts],
    }
    return {name: spread(values) for name, values in figures.items()}
