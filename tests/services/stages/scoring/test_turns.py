"""Turns: no more threads run a model than it has instances."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeOptions
from models.signature import Inputs
from services.stages.scoring.turns import CutTakingTurns, cut_with_turns, with_turns

LIMIT_S = 20


class Counting:
    """A runtime, also a cut one, that counts the threads inside. Each call waits until ``instances`` are inside."""

    encode_signature = score_signature = cast(Any, None)

    def __init__(self, instances: int) -> None:
        self._meeting = threading.Barrier(instances, timeout=LIMIT_S)
        self._lock = threading.Lock()
        self._inside = self.most = 0

    def run(self, inputs: Inputs) -> Inputs:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._meeting.wait()
        with self._lock:
            self._inside -= 1
        return inputs

    def encode(self, inputs: Inputs) -> Any:
        return self.run(inputs)["x"]

    def score(self, inputs: Inputs, encoded: Any) -> Inputs:
        return self.run({**inputs, "encoded": encoded})


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_as_many_threads_as_instances_run_a_model_at_once(instances: int) -> None:
    runtime, nothing = Counting(instances), cast(Artifact, None)
    limited = with_turns(lambda *_: runtime, instances, 4)(Path(), nothing, RuntimeOptions(kind="onnx"))
    inputs = [{"x": np.array([number])} for number in range(6 * instances)]
    with ThreadPoolExecutor(6) as pool:
        outputs = list(pool.map(limited.run, inputs))
    assert all(given is returned for given, returned in zip(inputs, outputs, strict=True))
    assert runtime.most == instances


def test_both_halves_of_a_cut_model_share_the_turns() -> None:
    runtime, nothing = Counting(1), cast(Artifact, None)
    limited = cut_with_turns(lambda *_: runtime, 1, 2)(Path(), nothing, RuntimeOptions(kind="onnx"))
    assert isinstance(limited, CutTakingTurns)
    with ThreadPoolExecutor(4) as pool:
        encodings = [pool.submit(limited.encode, {"x": np.zeros(1)}) for _ in range(10)]
        scores = [pool.submit(limited.score, {"x": np.zeros(1)}, np.ones(1)) for _ in range(10)]
        wholes = [pool.submit(limited.run, {"x": np.zeros(1)}) for _ in range(10)]
    for futures in (encodings, scores, wholes):
        assert len([future.result() for future in futures]) == 10
    assert runtime.most == 1


def test_turn_ends_if_the_model_fails() -> None:
    class Failing:
        def run(self, inputs: Inputs) -> Inputs:
            raise MemoryError("no room")

    failing: Runtime = Failing()
    limited = with_turns(lambda *_: failing, 1, 2)(Path(), cast(Artifact, None), RuntimeOptions(kind="onnx"))
    for _ in range(2):
        with pytest.raises(MemoryError, match="no room"):
            limited.run({})


def test_model_with_enough_instances_has_no_lock() -> None:
    def load(*_: object) -> Runtime:
        return Counting(1)

    assert with_turns(load, 2, 2) is load
    assert with_turns(load, 1, 1) is load
