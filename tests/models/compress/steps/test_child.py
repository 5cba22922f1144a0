"""Child artifacts: their lineage, and their golden requests."""

from pathlib import Path

from models.artifact import Artifact
from models.compress.steps.base import Model
from models.compress.steps.child import golden_inputs, write_module
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from tests.models.compress.homes import model_in
from tests.models.compress.noise import NoiseOptions
from tests.models.worlds import make_ranker


def test_child_has_the_lineage_of_all_steps_and_golden_requests_of_its_own(home: Path) -> None:
    parent, first, second = model_in(home), NoiseOptions(scale=0.1), NoiseOptions(scale=0.2)
    child = Model(
        home / "child", write_module(make_ranker(1), home / "child", parent, first, golden_inputs(parent))
    )
    write_module(make_ranker(2), home / "grandchild", child, second, golden_inputs(child), {"rank": 4})
    artifact = Artifact.load(home / "grandchild")
    assert artifact.lineage["compression"] == {
        "of": parent.artifact.version,
        "parent": child.artifact.version,
        "steps": [first.lineage, second.lineage],
        "facts": {"rank": 4},
    }
    assert artifact.name == parent.artifact.name
    runtime = load_runtime(home / "grandchild", artifact, runtime_config(kind="onnx"))
    assert check_golden(home / "grandchild", artifact, runtime)
