"""A window counts the requests that were finished in it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bert import worker
from benchmarks.bert.calls import WAITING
from benchmarks.bert.mixes import Mix
from benchmarks.bert.worker import Task, Worker
from models.ragged import RaggedArray, offsets_of
from models.signature import Inputs


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker with a cache. It has a block of the text 0, then one with 32 of it and 32 other texts."""
    texts = RaggedArray(np.arange(1, 34, dtype=np.int32), offsets_of(np.ones(33, np.int64)))
    order = np.concatenate([np.zeros(WAITING + 32, np.int64), np.arange(1, 33)])
    Mix("mix", texts, order).save(tmp_path / "mix.npz")

    def engine(inputs: Inputs) -> np.ndarray:
        return np.zeros(len(inputs["input_ids"]), np.float32)

    monkeypatch.setattr(worker, "load_engine", lambda *_arguments: engine)
    path = str(tmp_path / "mix.npz")
    return Worker(Task(mix=path, root="", engine="onnx", threads=1, padded=False, max_tokens=None, cache=100))


def test_hits_count_in_the_share_in_which_the_misses_of_their_block_are_finished(cached: Worker) -> None:
    first, second = cached.run(0.0), cached.run(0.0)

    assert (first.hits, len(first.latencies_ms)) == (0, 1)
    assert (second.hits, len(second.latencies_ms)) == (1, 2)  # one of 32 misses, so one of 32 hits


def test_all_hits_of_a_block_without_misses_count(cached: Worker) -> None:
    cached.run(0.0)
    cached.run(0.0)

    third = cached.run(0.0)

    assert (third.hits, third.tokens) == (WAITING, 0)
    assert third.latencies_ms == [0.0] * WAITING
