"""Turns at a model that has fewer instances than its replica has model threads.

The runtime is wrapped when it is loaded. A model with as many instances as there are threads is not wrapped, so it has
no lock in its path.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any

from numpy.typing import NDArray

from models.artifact import Artifact
from models.runtimes.base import CutRuntime, Runtime, RuntimeOptions
from models.signature import Inputs

LoadRuntime = Callable[[Path, Artifact, RuntimeOptions], Runtime]
"""Opens an artifact at a path, in this process (``load_runtime``) or in all ranks of a shard group."""
LoadCutRuntime = Callable[[Path, Artifact, RuntimeOptions], CutRuntime]
"""Opens an artifact at a path, cut in two after the encoded history."""


class TakingTurns:
    """A runtime that at most ``instances`` threads run at once. Other threads wait."""

    def __init__(self, runtime: Runtime, turns: "Lock | Semaphore") -> None:
        """Wrap the runtime."""
        self._runtime, self._turns = runtime, turns

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the model and return its outputs by name, as the runtime does."""
        with self._turns:
            return self._runtime.run(inputs)


class CutTakingTurns(TakingTurns):
    """The same for a runtime that is cut in two. Both halves share the turns."""

    def __init__(self, runtime: CutRuntime, turns: "Lock | Semaphore") -> None:
        """Wrap the runtime."""
        super().__init__(runtime, turns)
        self._cut = runtime
        self.encode_signature, self.score_signature = runtime.encode_signature, runtime.score_signature

    def encode(self, inputs: Inputs) -> NDArray[Any]:
        """Return the encoded histories, as the runtime does."""
        with self._turns:
            return self._cut.encode(inputs)

    def score(self, inputs: Inputs, encoded: NDArray[Any]) -> Inputs:
        """Return the outputs by name, as the runtime does."""
        with self._turns:
            return self._cut.score(inputs, encoded)


def with_turns(load: LoadRuntime, instances: int, threads: int) -> LoadRuntime:
    """Return a function that loads models for ``instances`` of the replica's ``threads`` at once."""
    if instances >= threads:
        return load
    return lambda root, artifact, config: TakingTurns(load(root, artifact, config), _turns(instances))


def cut_with_turns(load: LoadCutRuntime, instances: int, threads: int) -> LoadCutRuntime:
    """Return a function that loads cut models for ``instances`` of the replica's ``threads`` at once."""
    if instances >= threads:
        return load
    return lambda root, artifact, config: CutTakingTurns(load(root, artifact, config), _turns(instances))


def _turns(instances: int) -> "Lock | Semaphore":
    return Lock() if instances == 1 else Semaphore(instances)
