"""The pipeline of configs/walks.yaml: the nearest routes, scored with the user's history, reranked and diversified.

The arrays come from ``benchmarks.peer_servers.walks_export``. Only what the measured requests need is here: each has a
user's id and k, and every other value has its default.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.peer_servers.work.answers import Answers, RankRequest
from benchmarks.peer_servers.work.session import open_session

_KM_PER_DEGREE = 111.195
_Arrays = dict[str, NDArray[Any]]


class Walks:
    """Both models, the items and the users."""

    def __init__(self, home: Path, users: Path, candidates: int, threads: int) -> None:
        """Load the models and items from ``home``, and the exported arrays from ``users``."""
        about = json.loads((users / "walks.json").read_text())
        items = home / about["catalogue"]
        self.ids: list[str] = np.load(items / "ids.npy").astype(str).tolist()
        self._candidates, self._best = candidates, about["best"]
        self._relevance_weight = about["relevance_weight"]
        # One more row, of zeros, stands for unknown items and for the padding of histories.
        self._nothing = len(self.ids)
        self._items = {name: _with_zeros(column) for name, column in np.load(users / "items.npz").items()}
        self._vectors = _with_zeros(np.load(items / f"{about['diversity_column']}.npy"))
        self._requests: _Arrays = dict(np.load(users / "requests.npz"))
        history: _Arrays = dict(np.load(users / "history.npz"))
        self._offsets = history.pop("offsets")
        self._rows = np.append(np.where(history["rows"] < 0, self._nothing, history["rows"]), self._nothing)
        self._recent = np.append(history.pop("is_recent"), False)
        self._position = history.pop("position")
        self._lists = {name: _with_zeros(column) for name, column in history.items() if name != "rows"}
        self._user = {name: index for index, name in enumerate(about["users"])}
        self._unknown = self._user[""]
        places = np.load(items / f"{about['position_column']}.npy").astype(np.float64)
        self._scale = np.array([1.0, np.cos(np.radians(places[:, 0].mean()))]) * _KM_PER_DEGREE
        self._tree = cKDTree(places * self._scale)
        self._inputs: dict[str, list[list[str]]] = about["inputs"]
        self._past = {source for inputs in self._inputs.values() for _, source in inputs if "@" in source}
        self._sessions = {name: open_session(home / path, threads) for name, path in about["graphs"].items()}
        self._answers = Answers(dict.fromkeys(("ranker", "reranker", "distilled", "release"), "0123456789ab"))

    def rank(self, requests: Sequence[RankRequest]) -> list[bytes]:
        """Answer a batch of requests."""
        started_s = time.perf_counter()
        users = np.array([self._user.get(request.user_id, self._unknown) for request in requests])
        _, near = self._tree.query(self._position[users] * self._scale, k=self._candidates)
        rows = near.astype(np.int64).reshape(len(users), -1)
        known, slots = self._history(users)
        gathered_s = time.perf_counter()
        scores = self._run("ranker", known, rows)
        scored_s = time.perf_counter()
        scores = np.where(self._seen(rows, slots), -np.inf, scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._best]
        scores = np.take_along_axis(scores, order, axis=1)
        is_open = np.isfinite(scores)
        rows = np.where(is_open, np.take_along_axis(rows, order, axis=1), self._nothing)
        ranked = {"candidate.score": np.where(is_open, scores, 0).astype(np.float32), "batch.mask": is_open}
        scores = self._run("reranker", known | ranked, rows)
        picked = self._diverse(scores, rows, is_open, max(request.k for request in requests))
        reranked_s = time.perf_counter()
        return self._answers.build(
            requests,
            self.ids,
            np.take_along_axis(rows, picked, axis=1),
            np.take_along_axis(scores, picked, axis=1),
            {
                "features": (gathered_s - started_s) * 1e3,
                "ranker": (scored_s - gathered_s) * 1e3,
                "reranker": (reranked_s - scored_s) * 1e3,
            },
        )

    def _history(self, users: NDArray[np.int64]) -> tuple[_Arrays, NDArray[np.int64]]:
        """Return the inputs that need no candidates, and the users' history slots (R, L). The last slot is padding."""
        starts, lengths = self._offsets[users], self._offsets[users + 1] - self._offsets[users]
        position = np.arange(int(lengths.max(initial=0)))
        mask = position < lengths[:, None]
        slots = np.where(mask, starts[:, None] + position, len(self._rows) - 1)
        known = {name: column[users] for name, column in self._requests.items()}
        known |= {name: column.take(slots, axis=0) for name, column in self._lists.items()}
        known |= {"user.history:mask": mask, "batch.chunk_of": np.arange(len(users))}
        past = self._rows[slots]
        for source in self._past:
            known[source] = self._items[source.partition("@")[0]].take(past, axis=0)
        return known, slots

    def _run(self, model: str, known: _Arrays, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = {
            name: known[source] if source in known else self._items[source].take(rows, axis=0)
            for name, source in self._inputs[model]
        }
        scores: NDArray[np.float32] = self._sessions[model].run(["score"], inputs)[0]
        return scores

    def _seen(self, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which candidates the user saw in the last days, (R, M). A user who saw all of them keeps them."""
        table = np.zeros((len(rows), self._nothing + 1), dtype=np.bool_)
        owner = np.arange(len(rows))[:, None]
        table[owner, np.where(self._recent[slots], self._rows[slots], self._nothing)] = True
        seen: NDArray[np.bool_] = table[owner, rows]
        return seen & ~seen.all(axis=1, keepdims=True)

    def _diverse(
        self, scores: NDArray[np.float32], rows: NDArray[np.int64], is_open: NDArray[np.bool_], count: int
    ) -> NDArray[np.int64]:
        """Pick ``count`` slots per request by maximal marginal relevance."""
        weight, owner = self._relevance_weight, np.arange(len(rows))
        vectors = self._vectors.take(rows, axis=0)
        low = np.where(is_open, scores, np.inf).min(axis=1, keepdims=True)
        above = np.where(is_open, scores, low).astype(np.float64) - low
        relevance = weight * above / np.maximum(above.max(axis=1, keepdims=True), 1e-12)
        relevance[~is_open] = -np.inf
        closest = np.zeros(scores.shape, dtype=np.float32)
        picked = np.empty((len(rows), min(count, scores.shape[1])), dtype=np.int64)
        for pick in range(picked.shape[1]):
            slot = np.argmax(relevance - (1 - weight) * closest, axis=1)
            picked[:, pick] = slot
            relevance[owner, slot] = -np.inf
            closest = np.maximum(closest, np.matmul(vectors, vectors[owner, slot][:, :, None])[:, :, 0])
        return picked


def _with_zeros(column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([column, np.zeros((1, *column.shape[1:]), dtype=column.dtype)])
