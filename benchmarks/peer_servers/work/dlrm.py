"""The DLRM of configs/dlrm.yaml: random candidates per request, their features gathered, scored and sorted."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_servers.work.answers import Answers, RankRequest
from benchmarks.peer_servers.work.session import open_session


class Dlrm:
    """The DLRM and its items. It reads the files that ``benchmarks.cases.dlrm`` wrote.

    Attributes:
        ids: item ids by row.
    """

    def __init__(self, home: Path, candidates: int, threads: int) -> None:
        """Load the model and the items from ``home``."""
        self._session = open_session(home / "dlrm/artifact/model.onnx", threads)
        items = home / "dlrm/catalogue"
        self._columns = {name: np.load(items / f"{name}.npy") for name in ("dense", "sparse")}
        self.ids: list[str] = np.load(items / "ids.npy").astype(str).tolist()
        self._candidates = candidates
        self._random = np.random.default_rng()
        self._answers = Answers({"ranker": "1ff560ac008a", "release": "1ff560ac008a"})

    def rank(self, requests: Sequence[RankRequest]) -> list[bytes]:
        """Answer a batch of requests."""
        started_s = time.perf_counter()
        rows = self.draw(len(requests))
        inputs = self.features(rows.reshape(-1))
        gathered_s = time.perf_counter()
        scores = self.scores(inputs).reshape(rows.shape)
        scored_s = time.perf_counter()
        order = np.argsort(-scores, axis=1)
        return self._answers.build(
            requests,
            self.ids,
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(scores, order, axis=1),
            {"features": (gathered_s - started_s) * 1e3, "ranker": (scored_s - gathered_s) * 1e3},
        )

    def draw(self, requests: int) -> NDArray[np.int64]:
        """Return random rows (requests, candidates), with replacement as in Rankway."""
        return self._random.integers(0, len(self.ids), (requests, self._candidates))

    def features(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the model's inputs for the rows (N,)."""
        return {name: column.take(rows, axis=0) for name, column in self._columns.items()}

    def scores(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the scores (N,)."""
        scores: NDArray[np.float32] = self._session.run(["score"], inputs)[0]
        return scores
