"""Requests and answers. The answer has the same fields as Rankway's, so that it has the same size."""

import os
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray


class RankRequest(msgspec.Struct, gc=False):
    """A request for the ``k`` best items for a user."""

    user_id: str
    k: int


class Item(msgspec.Struct, gc=False):
    """An item with its score."""

    id: str
    score: float


class Answer(msgspec.Struct, gc=False):
    """An answer. All requests of one batch have the same ``timings_ms``, which is how the client finds batches."""

    request_id: str
    items: list[Item]
    models: dict[str, str]
    degraded: str | None
    timings_ms: dict[str, float]


class Work(Protocol):
    """The model, its inputs and its answers."""

    def rank(self, requests: Sequence[RankRequest]) -> list[bytes]:
        """Answer a batch of requests, each as a complete JSON document."""
        ...


class Answers:
    """Builds answers as JSON."""

    def __init__(self, models: Mapping[str, str]) -> None:
        """Name ``models`` and their versions in each answer."""
        self._models = dict(models)
        self._prefix = os.urandom(6).hex()
        self._number = count(1)
        self._encode = msgspec.json.Encoder().encode

    def build(
        self,
        requests: Sequence[RankRequest],
        ids: Sequence[str],
        rows: NDArray[np.int64],
        scores: NDArray[Any],
        timings_ms: Mapping[str, float],
    ) -> list[bytes]:
        """Encode a batch's answers.

        Args:
            requests: the R requests.
            ids: item ids by row.
            rows: (R, M), each request's items, best first.
            scores: (R, M), their scores.
            timings_ms: milliseconds by step.
        """
        timings = {name: round(ms, 3) for name, ms in timings_ms.items()}
        answers = []
        for request, own_rows, own_scores in zip(requests, rows.tolist(), scores.tolist(), strict=True):
            items = [
                Item(ids[row], score)
                for row, score in zip(own_rows[: request.k], own_scores[: request.k], strict=True)
            ]
            name = f"{self._prefix}-{next(self._number)}"
            answers.append(self._encode(Answer(name, items, self._models, None, timings)))
        return answers
