"""The benchmark of input shapes executes all calls on all sides, and times the second half."""

from pathlib import Path

import numpy as np

from benchmarks.input_shapes import SIDES, measure
from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from tests.pipelines import make_pipeline


def test_every_side_executes_every_call(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    artifact = Artifact.load(tmp_path / "model")
    runtimes = {
        side: load_runtime(tmp_path / "model", artifact, runtime_config(**options))
        for side, options in SIDES.items()
    }
    calls = [
        {
            "value": np.ones(size, np.float32),
            "bias": np.ones(2, np.float32),
            "shift": np.ones(2, np.float32),
            "request_of": np.repeat([0, 1], [size, 0]),
        }
        for size in range(1, 9)
    ]
    sides = measure(runtimes, calls)
    assert [side.side for side in sides] == list(SIDES)
    assert sides[0].of_onnx == 1
