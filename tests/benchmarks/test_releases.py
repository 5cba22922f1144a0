"""The release benchmark: the releases that it stages, and the answers that count for a swap."""

from pathlib import Path

import pytest

from benchmarks import releases
from benchmarks.cases.staged_releases import stage_two
from benchmarks.cases.workloads import Workload
from benchmarks.harness.results import Answered
from models.artifact import Artifact
from services.config.loading import load_config
from services.releases.staging import ReleaseFolder
from tests.pipelines import make_pipeline


def test_stages_two_releases_of_one_model_with_data_in_another_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    home.mkdir()
    monkeypatch.setenv("RANKWAY_HOME", str(data))
    workload = Workload("small", make_pipeline(data), candidates=20, k=3)
    config, names = stage_two(workload, home)
    folder = ReleaseFolder(home, "small")
    assert [release.name for release in folder.staged()] == sorted(
        names, key=lambda name: (folder.read(name).staged_at, name)
    )
    assert len(set(names)) == 2
    assert folder.history.active() == names[1]
    pipelines = [folder.applied(load_config(config), name) for name in names]
    first, second = (Artifact.load(home / p.models["ranker"].artifact) for p in pipelines)
    assert first.files["model.onnx"] == second.files["model.onnx"]
    assert first.version != second.version
    assert not (data / "small").exists()


def test_counts_answers_that_were_in_progress_during_a_swap() -> None:
    answers = [Answered(start_s, start_s + 1.0, b"") for start_s in (0.0, 1.5, 2.5, 5.0)]
    assert len(releases._latencies_in([(2.0, 3.0)], answers)) == 2
    assert releases._latencies_in([], answers) == []


def test_answers_during_a_swap_do_not_count_for_the_window_before_it() -> None:
    calm = [Answered(s, s + 0.01, b"") for s in (9.2, 9.5, 9.8)]
    held_up = [Answered(9.95, 10.45, b""), Answered(10.2, 10.24, b"")]
    swaps = [(10.0, 11.0)]
    before_ms, in_swaps_ms, ratios = releases.p99_by_pair(swaps, swaps, [*calm, *held_up])
    assert before_ms == pytest.approx(10.0)
    assert in_swaps_ms > 400
    assert ratios == [in_swaps_ms / before_ms]


def test_compares_each_swap_with_the_window_before_it() -> None:
    answers = [
        Answered(start_s + i / 10, start_s + i / 10 + took_s, b"")
        for start_s, took_s in [(9.0, 0.01), (10.0, 0.02), (19.0, 0.03), (20.0, 0.03)]
        for i in range(9)
    ]
    swaps = [(10.0, 11.0), (20.0, 21.0)]
    assert releases.p99_by_pair(swaps, swaps, answers)[2] == pytest.approx([2.0, 1.0])
    before_ms, in_swaps_ms, ratios = releases.p99_by_pair(swaps[1:], swaps, answers)
    assert [before_ms, in_swaps_ms, *ratios] == pytest.approx([30.0, 30.0, 1.0])
