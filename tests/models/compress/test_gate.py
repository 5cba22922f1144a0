"""The gate: bounds of quality and speed, and the bounds of single steps."""

import re

import pytest

from models.compress.figures import Figures, Interval, Latency, Sizes
from models.compress.gate import Gate, GateOverrides
from models.compress.steps.pruning.options import PruneOptions
from models.compress.steps.quantization.options import QuantizeOptions
from models.compress.steps.tuning.options import TuneOptions


def figures(
    *, change: float = 0.0, speedup: float = 1.0, at_best: float | None = None, fault: str | None = None
) -> Figures:
    times = {
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "of_parent": speedup,
        "of_parent_at_best": speedup if at_best is None else at_best,
        "of_original": 9.0,
    }
    latency = Latency.model_validate({"candidates": 200, **times})
    return Figures(
        runtime="onnx",
        sizes=Sizes(parameters=1, disk_bytes=4),
        latencies=(latency,),
        change_of_original=Interval(value=change, low=change - 0.01, high=change + 0.01),
        fault=fault,
    )


@pytest.mark.parametrize(
    ("child", "refusal"),
    [
        (figures(change=-0.01, speedup=1.0), None),
        (figures(change=0.02, speedup=3.0), None),
        (figures(change=-0.0123), "NDCG@10 is 1.23% below the original's, and max_ndcg_loss is 1.00%"),
        (
            figures(speedup=0.9),
            "0.90 times as fast as its parent at 200 candidates, at best 0.90 times .*, and min_speedup is 1",
        ),
        (figures(speedup=0.97, at_best=1.01), None),
        (figures(speedup=0.97, at_best=0.99), "0.97 times .*, at best 0.99 times"),
        (figures(change=-0.5, speedup=0.5), "50.00% below .*; 0.50 times as fast"),
        (figures(fault="its scores are NaN"), "its scores are NaN"),
    ],
)
def test_refuses_a_child_that_is_too_slow_or_too_inaccurate(child: Figures, refusal: str | None) -> None:
    got = Gate(max_ndcg_loss=0.01, min_speedup=1.0).refusal(child, "NDCG@10")
    assert (got is None) == (refusal is None)
    assert re.search(refusal or "", got or "")


def test_a_step_overrides_one_bound_and_keeps_the_other() -> None:
    gate = Gate(max_ndcg_loss=0.01, min_speedup=1.1)
    assert gate.of_step(GateOverrides(max_ndcg_loss=0.1)) == Gate(max_ndcg_loss=0.1, min_speedup=1.1)
    assert gate.of_step(None) == gate


def test_speed_of_a_step_that_keeps_it_counts_only_if_the_step_says_so() -> None:
    gate = Gate(max_ndcg_loss=0.01, min_speedup=1.1)
    slower = figures(speedup=0.97)
    assert gate.of_step(None, keeps_speed=True).refusal(slower, "AUC") is None
    assert gate.of_step(GateOverrides(min_speedup=1.0), keeps_speed=True).refusal(slower, "AUC") is not None


def test_steps_know_whether_they_keep_the_speed() -> None:
    keep = [TuneOptions(), PruneOptions(unstructured=0.5)]
    change = [PruneOptions(), PruneOptions(unstructured=0.5, heads=0.5), QuantizeOptions()]
    assert all(options.keeps_speed for options in keep)
    assert not any(options.keeps_speed for options in change)
