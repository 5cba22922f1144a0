"""A ranker that waits instead of computing, longer on a CPU than on a GPU, so that a small load fills a pool.

It needs no GPU. A replica counts as one on a GPU if Ray has reserved a GPU for it, which may be an invented one.
"""

import time
from pathlib import Path

import ray

from models.artifact import Artifact
from models.signature import Inputs


class WaitingRuntime:
    """The small pipeline's model, with a wait for each call."""

    def __init__(
        self, _folder: Path, _artifact: Artifact, *, threads: int, cpu_ms: float, gpu_ms: float
    ) -> None:
        """Look for a reserved GPU.

        Args:
            threads: not used, because only one thread waits.
            cpu_ms: the wait for each candidate without a GPU.
            gpu_ms: the wait for each candidate with a GPU.
        """
        self._per_candidate_s = (gpu_ms if has_gpu() else cpu_ms) / 1000

    def run(self, inputs: Inputs) -> Inputs:
        """Wait, then return the scores that the model in ``tests.pipelines`` computes."""
        time.sleep(self._per_candidate_s * len(inputs["value"]))
        own = (inputs["bias"] + inputs["shift"])[inputs["request_of"]]
        return {"score": inputs["value"] + own}


def has_gpu() -> bool:
    """Return whether Ray has reserved a GPU for this process."""
    return ray.is_initialized() and bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
