"""Times of models against each other: the requests of each round, and the ratios of the rounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from models.compress.measuring import rounds
from models.compress.measuring.rounds import ROUNDS, Side, Times, time_sides
from models.compress.measuring.worker import Memory
from models.runtimes.kinds.registry import runtime_config

MEMORY = Memory(2.0, 1.0)


def times(*of_rounds: list[float], requests: int) -> Times:
    return Times({20: of_rounds}, {20: requests}, MEMORY)


def test_a_round_compares_only_requests_that_both_models_executed() -> None:
    """The second of four requests is long. The slow model does not come to it in the first round."""
    fast = times([1.0, 9.0, 1.0, 1.0, 1.2, 9.0], [1.0, 9.0, 1.0, 1.0], requests=4)
    slow = times([2.2], [2.0, 18.0, 2.0], requests=4)
    assert fast.ratios(slow, 20) == pytest.approx([2.0, 2.0])
    assert slow.ratios(fast, 20) == pytest.approx([0.5, 0.5])


class NotingWorker:
    """Notes with which request each round of each side begins, and executes nothing."""

    begun: Mapping[str, list[int]]

    def __init__(self, name: str, *_: Any) -> None:
        self._begun = self.begun[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def ready(self) -> None:
        return

    def memory(self) -> Memory:
        return MEMORY

    def times_ms(self, candidates: int, window_s: float, first: int = 0) -> list[float]:
        self._begun.append(first)
        return [1.0]


def test_sides_begin_a_round_with_the_same_request_and_each_round_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: dict[str, list[int]] = {"one": [], "other": []}
    monkeypatch.setattr(NotingWorker, "begun", begun, raising=False)
    monkeypatch.setattr(rounds, "Worker", NotingWorker)
    side = Side(Path("unread"), runtime_config(kind="onnx"), {20: [[{}]] * 16})
    time_sides({"one": side, "other": side}, 0.0, lambda *_: None)
    assert begun["one"] == begun["other"]
    assert len(set(begun["one"][-ROUNDS:])) == ROUNDS
