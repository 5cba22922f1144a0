"""Running recipes: rows, the gate, and rejected and failed steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.compress.figures import Figures
from models.compress.rows import Result
from models.compress.steps.base import Model
from models.errors import FolderBusy
from models.writers import writing_in
from tests.models.compress.chains import QuickMeter, chain_of, executed, run, states

pytestmark = pytest.mark.usefixtures("noise")


def test_branch_begins_with_last_accepted_model_of_another_branch(home: Path) -> None:
    branches = [
        {"name": "late", "of": "early", "steps": [{"kind": "noise", "scale": 0.03}]},
        {
            "name": "early",
            "steps": ["noise", {"kind": "noise", "scale": 0.02, "gate": {"min_speedup": 1000}}],
        },
    ]
    result = run(home, steps=[], branches=branches)
    assert states(result) == [
        ("early/01-noise", "original", "accepted"),
        ("early/02-noise", "early/01-noise", "rejected"),
        ("late/01-noise", "early/01-noise", "accepted"),
    ]
    rejected, late = result.steps[1:]
    assert rejected.path == "compressed/early/rejected/02-noise"
    assert rejected.reason.startswith("1.00 times as fast as its parent at 20 candidates, ")
    lineage = Artifact.load(home / late.path).lineage["compression"]
    assert [step["scale"] for step in lineage["steps"]] == [0.01, 0.03]
    assert lineage["parent"] == result.steps[0].version


def test_step_that_loses_too_much_is_rejected(home: Path) -> None:
    gate = {"max_ndcg_loss": 0.01, "min_speedup": 0.0}
    result = run(home, gate=gate, steps=[{"kind": "noise", "scale": 5.0}])
    assert states(result) == [("main/01-noise", "original", "rejected")]
    assert "below the original's, and max_ndcg_loss is 1.00%" in result.steps[0].reason


def test_step_that_changes_nothing_or_whose_scores_are_not_numbers_is_rejected(home: Path) -> None:
    result = run(home, steps=[{"kind": "noise", "outcome": "nan"}, {"kind": "noise", "scale": 0.0}, "noise"])
    assert states(result) == [
        ("main/01-noise", "original", "rejected"),
        ("main/02-noise", "original", "rejected"),
        ("main/03-noise", "original", "accepted"),
    ]
    assert "NaN or infinite" in result.steps[0].reason
    assert result.steps[1].reason.startswith("it changed nothing: its files are those of its parent")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("training", "noise.scale: must be smaller"),
        ("bug", "noise: failed: ZeroDivisionError: division by zero; see the traceback in "),
        ("exit", "noise: failed: SystemExit: 3"),
    ],
)
def test_failed_step_has_a_row_and_the_branch_goes_on(home: Path, outcome: str, reason: str) -> None:
    result = run(home, steps=[{"kind": "noise", "outcome": outcome}, "noise"])
    assert states(result) == [
        ("main/01-noise", "original", "failed"),
        ("main/02-noise", "original", "accepted"),
    ]
    assert reason in result.steps[0].reason
    branch = home / "compressed" / "main"
    assert not list(branch.rglob("*.scratch"))
    traceback = branch / "01-noise.error.txt"
    assert traceback.exists() == (outcome != "training")
    assert outcome != "bug" or "raise ZeroDivisionError" in traceback.read_text()


def test_interrupt_ends_the_run_at_once_and_keeps_the_checkpoint(home: Path) -> None:
    log = home / "log"
    with pytest.raises(KeyboardInterrupt):
        run(home, steps=[{"kind": "noise", "outcome": "interrupt", "log": str(log)}, "noise"])
    assert (home / "compressed/main/01-noise.scratch/checkpoints/checkpoint").exists()
    assert not (home / "compressed/main/02-noise.json").exists()


def test_child_comes_to_its_folder_only_when_it_is_judged(home: Path) -> None:
    log, branch = home / "log", home / "compressed" / "main"
    step = {"kind": "noise", "log": str(log)}
    run(home, steps=[step])
    served = Artifact.load(branch / "01-noise").version

    class KilledMeter(QuickMeter):
        def measure(self, child: Model, parent: Model, progress: Callable[[int, int], None]) -> Figures:
            if child.root != parent.root:
                raise KeyboardInterrupt
            return super().measure(child, parent, progress)

    other = {**step, "scale": 0.02}
    with pytest.raises(KeyboardInterrupt):
        run(home, meter=KilledMeter, steps=[other])
    assert Artifact.load(branch / "01-noise").version == served
    (row,) = run(home, steps=[{**other, "gate": {"min_speedup": 1000}}]).steps
    assert (row.state, row.fresh) == ("rejected", False)
    assert executed(log) == ["0.01 begun", "0.02 begun"]
    assert Artifact.load(branch / "rejected" / "01-noise").version == row.version != served
    assert Artifact.load(branch / "01-noise").version == served
    assert row.reason.endswith(
        f"; compressed/main/01-noise still has version {served}, which an earlier run accepted"
    )
    assert sorted(path.name for path in branch.iterdir()) == ["01-noise", "01-noise.json", "rejected"]
    assert not (home / "compressed" / ".superseded").exists()
    (again,) = run(home, steps=[other]).steps
    assert Artifact.load(branch / "01-noise").version == again.version == row.version
    assert sorted(path.name for path in branch.iterdir()) == ["01-noise", "01-noise.json", "rejected"]
    assert not any((branch / "rejected").iterdir())


def test_full_disk_ends_the_run_and_keeps_finished_steps(home: Path) -> None:
    log = home / "log"
    steps: list[Any] = [{"kind": "noise", "log": str(log)}, {"kind": "noise", "outcome": "disk"}]
    with pytest.raises(OSError, match="No space left"):
        run(home, steps=steps)
    steps[1] = "noise"
    assert [row.fresh for row in run(home, steps=steps).steps] == [False, True]
    assert executed(log) == ["0.01 begun"]


def test_report_is_written_before_another_run_can_begin(home: Path) -> None:
    seen: list[Result] = []

    def report(result: Result) -> None:
        seen.append(result)
        assert (home / "compressed.writing").exists()

    result = chain_of(home).run(report=report)
    assert seen == [result]


def test_second_writer_of_the_same_folder_is_refused(home: Path) -> None:
    with writing_in(home / "compressed.writing", 1.0, home), pytest.raises(FolderBusy, match="compressed"):
        run(home)


def test_progress_counts_the_steps_with_their_labels(home: Path) -> None:
    seen: list[tuple[int, int, str]] = []

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        if what == "steps":
            seen.append((done, total, note))

    chain_of(home, progress, steps=["noise", "noise"]).run()
    assert seen == [(0, 2, "original"), (1, 2, "main/01-noise"), (2, 2, "main/02-noise")]
