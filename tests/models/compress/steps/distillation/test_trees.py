"""Trees as students: they follow the gradient of the loss, learn, and are served by ONNX Runtime."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artifact import Artifact
from models.compress.steps.base import Model
from models.compress.steps.distillation import STEP
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.distillation.trees import slopes
from models.features.catalogue import Catalogue
from models.importing.lightgbm import load
from models.padding import mask_of
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.training.examples.lists import Step
from models.training.losses import distillation_loss
from tests.models.compress.homes import data_in, model_in
from tests.models.compress.steps.distillation.data import SmallData, make_model, make_work
from tests.models.runtimes.trees.models import artifact_of, lightgbm_text
from tests.models.worlds import make_ranker


@given(st.integers(0, 1000), st.floats(0.5, 4.0))
@settings(max_examples=40, deadline=None)
def test_the_slopes_are_the_gradient_of_the_loss(seed: int, temperature: float) -> None:
    random = np.random.default_rng(seed)
    present = mask_of(np.array([0, 3, 8]))
    scores, teacher = (random.normal(size=present.shape).astype(np.float32) for _ in range(2))
    labels = torch.zeros(present.shape)
    padded = torch.from_numpy(scores).requires_grad_()
    step = Step({}, labels, torch.from_numpy(present), torch.from_numpy(teacher))
    distillation_loss(padded, step, temperature=temperature, label_weight=0.0).backward()  # type: ignore[no-untyped-call]
    assert padded.grad is not None
    powers = np.where(present, np.exp(teacher / temperature), 0.0)
    wanted = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    gradient, curvature = slopes(scores, wanted, present, temperature)
    np.testing.assert_allclose(gradient / len(present), padded.grad.numpy()[present], atol=1e-5)
    assert (curvature > 0).all()


def test_trees_learn_and_are_served(tmp_path: Path, catalogue: Catalogue) -> None:
    data = SmallData.drawn(tmp_path / "lists", catalogue)
    original = make_model(tmp_path / "ranker", make_ranker())
    student = {
        "architecture": "trees",
        "trees": 20,
        "leaves": 7,
        "min_rows": 5,
        "without": ["item.popularity"],
    }
    options = DistilOptions.model_validate({"student": student, "label_weight": 0.9})
    outcome = STEP.run(options, original, tmp_path / "child", make_work(tmp_path, original, data))
    child = Artifact.load(tmp_path / "child")
    assert 1 <= outcome.facts["trees"] <= 20
    assert child.architecture == {}
    assert (child.signature.vectors or {})["features"].features == (
        "item.attributes",
        "context.hour",
        "context.rain_mm",
        "user.profile",
        "context.position",
        "item.start",
    )
    for kind in ("onnx", "lightgbm"):
        runtime = load_runtime(tmp_path / "child", child, runtime_config(kind=kind))
        assert check_golden(tmp_path / "child", child, runtime)


def test_trees_learn_from_trees_and_are_served(home: Path, tmp_path: Path) -> None:
    artifact_of(load(lightgbm_text(home / "trees.txt")), home / "models" / "trees")
    work = make_work(tmp_path, model_in(home, "trees"), data_in(home))
    parent, read = work.original, []
    for count, without in ((8, []), (3, ["context.hour"])):
        student = {"architecture": "trees", "trees": count, "leaves": 7, "min_rows": 5, "without": without}
        options = DistilOptions.model_validate({"student": student, "teacher": "parent"})
        root = tmp_path / f"{count}"
        outcome = STEP.run(options, parent, root, work)
        assert 1 <= outcome.facts["trees"] <= count
        assert outcome.facts["teacher"] == parent.artifact.version
        parent = Model(root, Artifact.load(root))
        read.append((parent.artifact.signature.vectors or {})["features"].features)
        assert check_golden(
            root, parent.artifact, load_runtime(root, parent.artifact, runtime_config(kind="onnx"))
        )
    assert read == [("item.attributes", "context.hour"), ("item.attributes",)]
