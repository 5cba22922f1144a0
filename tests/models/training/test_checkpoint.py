"""Checkpoints: they restore the saved state, and a killed training gives the result of an undisturbed one."""

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.artifact import Artifact
from models.training.checkpoint import Snapshot, TrainingCheckpoint, TrainingProgress, moments_of, set_moments
from models.training.config import TrainingConfig
from tests.models.training.test_train import DOCUMENT, MODELS, train
from tests.models.worlds import make_catalogue, make_impressions

EVERY_STEP = TrainingConfig.model_validate(
    {
        **DOCUMENT,
        **{
            name: {**DOCUMENT[name], "fit": {**DOCUMENT[name]["fit"], "checkpoint_every_s": 0}}
            for name in MODELS
        },
    }
)
KILLED = """
import os, signal, sys
from pathlib import Path
from models.training.train import Trainer
from tests.models.training.test_checkpoint import EVERY_STEP
from tests.models.training.test_train import folders_in
from tests.models.worlds import FEATURES

def progress(what, done, total, note=""):
    if what == sys.argv[2] and done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

home = Path(sys.argv[1])
Trainer(EVERY_STEP, FEATURES, folders_in(home), progress).run()
"""


def snapshot(step: int) -> Snapshot:
    tensors = {"a": torch.full((2,), float(step)), "b": torch.arange(3)}
    return Snapshot(TrainingProgress(step, 0.5, 1), tensors, tensors, {"0.exp_avg": torch.ones(2)})


def test_load_restores_the_snapshot_and_the_random_state(tmp_path: Path) -> None:
    checkpoint = TrainingCheckpoint(tmp_path / "c", "k")
    assert checkpoint.load() is None
    torch.manual_seed(5)
    checkpoint.save(snapshot(1))
    checkpoint.save(snapshot(2))
    wanted = torch.rand(3)
    torch.manual_seed(6)
    result = checkpoint.load()
    assert result is not None
    assert result.reached == TrainingProgress(2, 0.5, 1)
    assert result.weights["a"].tolist() == [2.0, 2.0]
    assert torch.equal(torch.rand(3), wanted)
    checkpoint.clear()
    assert list(tmp_path.iterdir()) == []


def test_ignores_a_damaged_checkpoint_and_that_of_another_training(tmp_path: Path) -> None:
    TrainingCheckpoint(tmp_path / "c", "k").save(snapshot(1))
    assert TrainingCheckpoint(tmp_path / "c", "other").load() is None
    (tmp_path / "c" / "weights.safetensors").write_bytes(b"half")
    assert TrainingCheckpoint(tmp_path / "c", "k").load() is None


def test_optimiser_continues_equally_with_restored_moments() -> None:
    def stepped() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(1)
        module = torch.nn.Linear(3, 2)
        return module, torch.optim.AdamW(module.parameters(), fused=True)

    def step(module: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        module(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    (one, first), (two, second) = stepped(), stepped()
    step(one, first)
    two.load_state_dict(one.state_dict())
    set_moments(second, {name: value.clone() for name, value in moments_of(first).items()})
    for module, optimizer in ((one, first), (two, second)):
        step(module, optimizer)
    assert torch.equal(one.weight, two.weight)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "step"), [("ranker", 20), ("ranker", 47), ("reranker", 9)])
def test_killed_training_gives_the_same_models_after_it_resumes(tmp_path: Path, what: str, step: int) -> None:
    versions = []
    for name in ("undisturbed", "killed"):
        home = tmp_path / name
        catalogue = make_catalogue(home / "catalogue")
        make_impressions(home / "impressions" / "train", catalogue, 500, 0)
        make_impressions(home / "impressions" / "valid", catalogue, 120, 1)
        if name == "killed":
            command = [sys.executable, "-c", KILLED, str(home), what, str(step)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert (home / f"{what}.training").is_dir()
            assert (home / "ranker").is_dir() == (what == "reranker")
        train(home, EVERY_STEP)
        versions.append([Artifact.load(home / model).version for model in MODELS])
        assert not list(home.glob("*.training*"))
    assert all(a == b for a, b in itertools.pairwise(versions))
