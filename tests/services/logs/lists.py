"""Answers, folders and counters for tests of the served log."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from fsspec.implementations.memory import MemoryFileSystem

from models.ragged import RaggedArray, RaggedBatch, offsets_of
from services.logs.folder import LogFolder
from services.logs.rows import FeedbackRow, ShownRow
from services.logs.writer import LogConfig
from tests.pipelines import FEATURES

KEYS = np.arange(1000, 1100)


class Counts:
    """Counts written and dropped rows."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()

    def written(self, kind: str, count: int) -> None:
        self.totals[kind] += count

    def dropped(self, reason: str, count: int) -> None:
        self.totals[reason] += count


class FullDisk(MemoryFileSystem):  # type: ignore[misc]
    """A disk in memory. It is full while ``full`` is set."""

    cachable = False
    full = True

    def open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        if self.full and "w" in mode:
            raise OSError(28, "No space left on device", path)
        return super().open(path, mode, **more)


def config(**changes: Any) -> LogConfig:
    return LogConfig(path="log", **changes)


def folder(root: Path) -> LogFolder:
    return LogFolder.at(config().path, root, field="log.path")


def batch_of(lengths: list[int], release: str = "r1") -> RaggedBatch:
    """Return an answered batch of the small pipeline. Request i has i + 1 items in its history."""
    count, past = len(lengths), np.arange(1, len(lengths) + 1)
    total = sum(lengths)
    return RaggedBatch(
        offsets=offsets_of(np.array(lengths, dtype=np.int64)),
        rows=np.arange(total) % len(KEYS),
        requests={
            "user.bias": np.arange(count, dtype=np.float32),
            "user.history": RaggedArray(np.arange(past.sum()), offsets_of(past)),
            "context.position": np.zeros((count, 2)),
            "context.shift": np.full(count, 0.5, dtype=np.float32),
        },
        candidates={"score": -np.arange(total, dtype=np.float32), "ranker": np.zeros(total)},
        release=release,
        user_keys=[b"u"] * count,
    )


def shown(batch: RaggedBatch, request: int, request_id: str, at_s: float = 0.0) -> ShownRow:
    return ShownRow(batch, request, request_id, f"user of {request_id}", at_s, FEATURES, KEYS)


def opened(request_id: str, key: int, at_s: float = 0.0) -> FeedbackRow:
    return FeedbackRow(request_id, key, "opened", 1.0, at_s)
