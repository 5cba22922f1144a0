"""Running recipes: rows, the gate, rejected and failed steps, and what a second run does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.compress.chain import Chain
from models.compress.data import score_cache
from models.compress.data.pipeline import PipelineData
from models.compress.figures import Figures
from models.compress.measuring.measure import Meter
from models.compress.measuring.rounds import Times
from models.compress.measuring.worker import Memory, SideFailure
from models.compress.recipe import MeasureConfig, Recipe
from models.compress.rows import Result, Row
from models.compress.running import keys
from models.compress.steps.base import Model
from models.errors import FolderBusy
from models.writers import writing_in
from tests.models.compress.homes import data_in, model_in, recipe_document
from tests.models.worlds import make_catalogue, make_impressions

pytestmark = pytest.mark.usefixtures("noise")


def chain_of(home: Path, **fields: Any) -> Chain:
    recipe = Recipe.model_validate(recipe_document(**fields))
    data, original = data_in(home), model_in(home)
    return Chain(recipe, home, original, data, QuickMeter(data, original), lambda *_, **__: None)


def run(home: Path, **fields: Any) -> Result:
    return chain_of(home, **fields).run()


class QuickMeter(Meter):
    """Measures qualities only. Every model is as fast as the others."""

    def __init__(self, data: PipelineData, original: Model) -> None:
        super().__init__(MeasureConfig(candidates=(20,)), data, original)

    def _times(self, models: Mapping[str, Model], _: object) -> dict[str, Times]:
        return dict.fromkeys(models, Times({20: [[1.0]]}, {20: 1}, Memory(2.0, 1.0)))


def executed(log: Path) -> list[str]:
    """Return a line for each execution of the step: its scale, and whether it continued."""
    return log.read_text().splitlines() if log.exists() else []


def states(result: Result) -> list[tuple[str, str, str]]:
    return [(row.label, row.parent, row.state) for row in result.steps]


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
    data, original = data_in(home), model_in(home)
    recipe = Recipe.model_validate(recipe_document(steps=[other]))
    killed = Chain(recipe, home, original, data, KilledMeter(data, original), lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
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


def test_second_run_finds_steps_and_figures_again(home: Path) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log)}]
    first, second = run(home, steps=steps), run(home, steps=steps)
    assert executed(log) == ["0.01 begun"]
    assert [row.fresh for row in (*first.steps, *second.steps)] == [True, False]
    assert first.steps[0].figures == second.steps[0].figures
    assert first.original.figures == second.original.figures


def test_other_machine_measures_finished_steps_again_without_executing_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log)}]
    run(home, steps=steps)
    for module in (keys, score_cache):
        monkeypatch.setattr(module, "machine_key", lambda: "another")
    measured: list[str] = []
    chain = chain_of(home, steps=steps)
    monkeypatch.setattr(QuickMeter, "measure", _noting(measured, QuickMeter.measure))
    chain.run()
    assert executed(log) == ["0.01 begun"]
    assert len(measured) == 2  # the original and the child


def _noting(measured: list[str], measure: Callable[..., Figures]) -> Callable[..., Figures]:
    def noted(self: Meter, child: Model, parent: Model, progress: Callable[[int, int], None]) -> Figures:
        measured.append(child.artifact.version)
        return measure(self, child, parent, progress)

    return noted


class LosingMeter(QuickMeter):
    """Loses the process of one side while it measures."""

    def __init__(self, data: PipelineData, original: Model, side: str) -> None:
        super().__init__(data, original)
        self._lost = side

    def _times(self, models: Mapping[str, Model], _: object) -> dict[str, Times]:
        if models["child"] is not models["original"]:
            raise SideFailure(self._lost, "the process that executed the model ended with exit code -9")
        return super()._times(models, _)


@pytest.mark.parametrize(
    ("side", "state"), [("child", "rejected"), ("parent", "failed"), ("original", "failed")]
)
def test_fault_of_one_run_does_not_stay(home: Path, side: str, state: str) -> None:
    recipe = Recipe.model_validate(recipe_document(out=f"lost-{side}", steps=["noise"]))
    data, original = data_in(home), model_in(home)
    meter = LosingMeter(data, original, side)
    result = Chain(recipe, home, original, data, meter, lambda *_, **__: None).run()
    assert [row.state for row in result.steps] == [state]
    assert "exit code -9" in result.steps[0].reason
    again = run(home, out=f"lost-{side}", steps=["noise"])
    assert [(row.state, row.fresh) for row in again.steps] == [("accepted", False)]


def test_other_gate_judges_a_finished_step_again_without_executing_it(home: Path) -> None:
    log = home / "log"
    step = {"kind": "noise", "log": str(log)}
    for gate, state, served in (
        (1000.0, "rejected", False),
        (0.0, "accepted", True),
        (1000.0, "rejected", True),  # a pipeline may serve it
    ):
        result = run(home, steps=[{**step, "gate": {"min_speedup": gate}}])
        assert result.steps[0].state == state
        assert [path.parent.name for path in (home / "compressed").rglob("01-noise/artifact.yaml")] == [
            "01-noise"
        ]
        assert (home / result.steps[0].path / "artifact.yaml").exists()
        assert result.steps[0].path == (
            "compressed/main/01-noise" if served else "compressed/main/rejected/01-noise"
        )
        assert ("which an earlier run accepted" in result.steps[0].reason) == (served and state == "rejected")
    assert executed(log) == ["0.01 begun"]


def test_changed_options_execute_a_step_and_its_followers_again(home: Path) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log), "scale": scale} for scale in (0.01, 0.02, 0.03)]
    run(home, steps=steps)
    steps[1]["scale"] = 0.04
    assert [row.fresh for row in run(home, steps=steps).steps] == [False, True, True]
    assert len(executed(log)) == 5


def test_changed_data_execute_everything_again(home: Path) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log)}]
    first = run(home, steps=steps)
    make_impressions(home / "impressions" / "valid", make_catalogue(home / "other"), 41, 2)
    second = run(home, steps=steps)
    assert len(executed(log)) == 2
    assert first.original.figures != second.original.figures


def test_renamed_branch_and_moved_steps_are_found_again(home: Path) -> None:
    log = home / "log"
    first, last = ({"kind": "noise", "log": str(log), "scale": scale} for scale in (0.01, 0.02))
    before = run(home, steps=[first, last])
    failing = {"kind": "noise", "outcome": "training"}
    branches = [{"name": "renamed", "steps": [first, failing, last]}, {"name": "again", "steps": [first]}]
    after = run(home, steps=[], branches=branches)
    assert [(row.label, row.state, row.fresh) for row in after.steps] == [
        ("renamed/01-noise", "accepted", False),
        ("renamed/02-noise", "failed", True),
        ("renamed/03-noise", "accepted", False),
        ("again/01-noise", "accepted", False),
    ]
    assert after.steps[2].figures == before.steps[1].figures
    assert len(executed(log)) == 2


def noise_of(home: Path, scale: float, **options: Any) -> dict[str, Any]:
    return {"kind": "noise", "log": str(home / "log"), "scale": scale, **options}


REJECTED = {"gate": {"min_speedup": 1000}}


def test_step_is_found_again_if_a_rejected_one_takes_its_place(home: Path) -> None:
    first, last = noise_of(home, 0.01), noise_of(home, 0.02)
    before = run(home, steps=[first, last])
    result = run(home, steps=[first, noise_of(home, 0.04, **REJECTED), last])
    assert [(row.state, row.fresh) for row in result.steps] == [
        ("accepted", False),
        ("rejected", True),
        ("accepted", False),
    ]
    assert result.steps[2].figures == before.steps[1].figures
    assert not (home / "compressed" / ".superseded").exists()


def test_rejected_steps_are_found_again_if_their_order_is_changed(home: Path) -> None:
    steps = [noise_of(home, 0.01, **REJECTED), noise_of(home, 0.02, **REJECTED)]
    run(home, steps=steps)
    result = run(home, steps=steps[::-1])
    assert [(row.state, row.fresh) for row in result.steps] == [("rejected", False)] * 2
    assert len(executed(home / "log")) == 2


def test_steps_are_found_again_if_the_names_of_branches_are_exchanged(home: Path) -> None:
    one, other = noise_of(home, 0.01), noise_of(home, 0.02)
    first = run(home, steps=[], branches=[{"name": "a", "steps": [one]}, {"name": "b", "steps": [other]}])
    second = run(home, steps=[], branches=[{"name": "b", "steps": [one]}, {"name": "a", "steps": [other]}])
    assert [row.fresh for row in second.steps] == [False, False]
    assert [row.version for row in second.steps] == [row.version for row in first.steps]
    assert [Artifact.load(home / row.path).version for row in second.steps] == [
        row.version for row in second.steps
    ]


def test_superseded_steps_are_kept_until_no_step_fails(home: Path) -> None:
    first, second = noise_of(home, 0.01), noise_of(home, 0.02)
    run(home, steps=[first])
    run(home, steps=[second, noise_of(home, 0.03, outcome="training")])
    assert [row.fresh for row in run(home, steps=[first]).steps] == [False]
    assert not (home / "compressed" / ".superseded").exists()


def test_report_is_written_before_another_run_can_begin(home: Path) -> None:
    seen: list[Result] = []

    def report(result: Result) -> None:
        seen.append(result)
        assert (home / "compressed.writing").exists()

    result = chain_of(home).run(report=report)
    assert seen == [result]


def test_other_number_of_report_lists_is_measured_without_executing_a_step(home: Path) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log)}]
    run(home, steps=steps)
    few = recipe_document(steps=steps, measure={"candidates": [20], "max_lists": 5})
    recipe, original = Recipe.model_validate(few), model_in(home)
    data = data_in(home, max_report_lists=5)
    meter = QuickMeter(data, original)
    result = Chain(recipe, home, original, data, meter, lambda *_, **__: None).run()
    assert (result.lists, result.steps[0].fresh) == (5, False)
    assert executed(log) == ["0.01 begun"]


def test_damaged_child_is_made_again(home: Path) -> None:
    path = run(home).steps[0].path
    (home / path / "model.onnx").write_bytes(b"")
    assert run(home).steps[0].fresh
    Artifact.load(home / path)


def test_second_writer_of_the_same_folder_is_refused(home: Path) -> None:
    with writing_in(home / "compressed.writing", 1.0, home), pytest.raises(FolderBusy, match="compressed"):
        run(home)


def test_rows_are_reported_as_soon_as_they_are_known(home: Path) -> None:
    seen: list[Row] = []
    result = chain_of(home, steps=["noise", "noise"]).run(seen.append)
    assert tuple(seen) == result.rows
