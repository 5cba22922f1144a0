"""A shard group of processes that has loaded the small ranker."""

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.runtimes import load_runtime
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.kinds.torch import TorchConfig
from models.signature import Inputs
from models.training.export import SAFETENSORS, weight_writer
from services.errors import ShardLost
from services.sharding.group import ShardGroup
from services.sharding.processes import ProcessLauncher
from services.sharding.shared_memory import is_supported
from tests.models.worlds import FEATURES, make_batch, make_catalogue, make_ranker, with_random_weights

TIMEOUT_S = 2.0
TOLERANCE = 1e-4
"""The share of the largest score by which a group's scores may differ from one process's."""
TRANSPORTS = [
    pytest.param(
        "shared_memory", marks=pytest.mark.skipif(not is_supported(), reason="x86-64 and Linux only")
    ),
    pytest.param("gloo", marks=pytest.mark.slow),
]


def written(root: Path, module: Architecture, name: str) -> Artifact:
    """Write a module as an artifact with its weights, without an ONNX graph."""
    signature = module.signature(FEATURES.content_hash)
    return write_artifact(
        root / name,
        name=name,
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, onnx=False),
        architecture=module.options.model_dump(mode="json"),
    )


def four_headed(seed: int = 0) -> Architecture:
    """Return the small ranker with a head for each of four ranks."""
    ranker = make_ranker(seed)
    module = build_architecture({**ranker.options.model_dump(), "heads": 4})
    module.load_state_dict(ranker.state_dict())
    return module


def deep_ranker(layers: int, seed: int = 0) -> Architecture:
    """Return a small ranker with the given number of layers."""
    module = build_architecture({**make_ranker().options.model_dump(), "layers": layers})
    return with_random_weights(module, seed)


def assert_same(result: Inputs, expected: Inputs, tolerance: float = TOLERANCE) -> None:
    """Check that scores are equal except for rounding."""
    scores = expected["score"]
    assert result["score"].shape == scores.shape
    largest = np.abs(scores).max(initial=0.0)
    np.testing.assert_allclose(result["score"], scores, rtol=tolerance, atol=tolerance * largest)


class RunningGroup:
    """A group that has loaded the small ranker, and the same ranker in one process for comparison."""

    def __init__(
        self,
        root: Path,
        shards: int,
        config: DeepSpeedConfig | AccelerateConfig | None = None,
        module: Architecture | None = None,
    ) -> None:
        self.root = root
        self.artifact = written(root, module or four_headed(), "ranker")
        self.assembler = InputAssembler(self.artifact.signature, make_catalogue(root / "catalogue"))
        self.whole = load_runtime(root / "ranker", self.artifact, TorchConfig())
        self.config = config or DeepSpeedConfig(kind="deepspeed", shards=shards, timeout_s=TIMEOUT_S)
        self.processes = ProcessLauncher()
        self.group = ShardGroup(self.config, self.processes)
        self.sharded = self.group.load_runtime(root / "ranker", self.artifact, self.config)

    def inputs(self, *shape: tuple[int, int]) -> Inputs:
        """Return the inputs for requests with the given numbers of (candidates, past items)."""
        return self.assembler(make_batch([count for count, _ in shape], [past for _, past in shape], 1))

    def rank(self, number: int) -> psutil.Process:
        """Return another rank's process."""
        pid = self.processes.started[number - 1].pid
        assert pid is not None
        return psutil.Process(pid)

    def check_loss_of_a_killed_rank(self) -> None:
        """Kill rank 1, and check that batches and the health check fail, also the second time."""
        inputs = self.inputs((5, 1))
        self.sharded.run(inputs)
        self.rank(1).kill()
        self.rank(1).wait(10)
        for _ in range(2):
            with pytest.raises(ShardLost):
                self.sharded.run(inputs)
            with pytest.raises(ShardLost):
                self.group.check()

    def stop_rank(self, number: int) -> None:
        """Stop a rank other than rank 0, and wait until all of its threads have stopped."""
        stop_process(self.rank(number).pid)


def stop_process(pid: int) -> None:
    """Stop a child process, and wait until all its threads have stopped. Before that one could still answer."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
