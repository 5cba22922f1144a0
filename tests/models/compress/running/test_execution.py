"""A second run of a recipe: which steps it finds again, and which it executes or measures again."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact
from models.compress.data import score_cache
from models.compress.data.pipeline import PipelineData
from models.compress.figures import Figures
from models.compress.measuring.measure import Meter
from models.compress.measuring.rounds import Times
from models.compress.measuring.worker import SideFailure
from models.compress.running import keys
from models.compress.steps.base import Model
from tests.models.compress.chains import QuickMeter, chain_of, executed, run
from tests.models.worlds import make_catalogue, make_impressions

pytestmark = pytest.mark.usefixtures("noise")


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

    def __init__(self, data: PipelineData, original: Model, *, side: str) -> None:
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
    result = run(home, meter=partial(LosingMeter, side=side), out=f"lost-{side}", steps=["noise"])
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


def test_other_number_of_report_lists_is_measured_without_executing_a_step(home: Path) -> None:
    log = home / "log"
    steps = [{"kind": "noise", "log": str(log)}]
    run(home, steps=steps)
    result = run(home, steps=steps, measure={"candidates": [20], "max_lists": 5})
    assert (result.lists, result.steps[0].fresh) == (5, False)
    assert executed(log) == ["0.01 begun"]


def test_damaged_child_is_made_again(home: Path) -> None:
    path = run(home).steps[0].path
    (home / path / "model.onnx").write_bytes(b"")
    assert run(home).steps[0].fresh
    Artifact.load(home / path)
