"""The accuracy benchmark's evaluation of service and simulator."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from autoscale.profiles import write_profile
from benchmarks.autoscaling.accuracy import Cell, accuracy_config, most_per_s, profile_path
from benchmarks.autoscaling.stretches import Stretch
from benchmarks.autoscaling.waiting import batch_s, waiting_profile
from services.autoscaling.spec import spec_of


def stretch(**figures: float) -> Stretch:
    known: dict[str, Any] = {field.name: 1.0 for field in fields(Stretch)} | {"cores": {}} | figures
    return Stretch(**known)


def test_cell_reports_the_medians_of_its_stretches() -> None:
    stretches = tuple(
        stretch(live_p99_ms=live, simulated_p99_ms=simulated, paced_p99_ms=paced)
        for live, simulated, paced in ((40, 30, 36), (400, 36, 46), (50, 33, 54))
    )
    cell = Cell(2, 0.7, 100.0, stretches)
    assert cell.median("live_p99_ms") == 50
    assert cell.difference == pytest.approx(33 / 50 - 1)
    assert cell.paced_difference == pytest.approx(46 / 50 - 1)


def test_reads_the_profile_that_the_bench_writes_and_derives_the_highest_rate(tmp_path: Path) -> None:
    config = accuracy_config(2)
    assert Path(str(config.units["main"].profile)).name == profile_path(tmp_path, 2).name
    write_profile(waiting_profile(5.0), profile_path(tmp_path, 2))
    spec = spec_of(config, tmp_path)
    assert spec.units[0].placed[0].initial_replicas == 2
    assert spec.candidates_per_request == 512
    # A full batch has four requests of 512 candidates.
    assert most_per_s(spec) == pytest.approx(4 / batch_s(2048), rel=1e-3)
