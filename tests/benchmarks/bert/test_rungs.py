"""Each rung changes one thing, and the limited rungs have only engines that obey the limit."""

from dataclasses import asdict
from itertools import pairwise

from benchmarks.bert.models import DYNAMIC, STATIC_7_BITS
from benchmarks.bert.rungs import climb, without_vnni

RUNGS = climb(64, ("onnx", DYNAMIC))


def test_each_rung_changes_one_thing() -> None:
    for before, after in pairwise(RUNGS):
        changed = {n for n, value in asdict(after).items() if value != asdict(before)[n]} - {"name"}
        together = [
            {"engine", "artifact"},
            {"threads", "workers"},
        ]  # an engine's own graph; a core per worker
        assert len(changed) == 1 or changed in together, after.name


def test_limited_rungs_leave_out_engines_without_a_switch() -> None:
    limited = without_vnni(RUNGS)

    assert {rung.engine for rung in limited} == {"torch", "openvino"}
    assert all(rung.max_isa == "AVX512_CORE" for rung in limited)
    assert {rung.artifact for rung in limited if rung.engine == "openvino"} == {STATIC_7_BITS}
    assert limited[-1].name == "workers"
