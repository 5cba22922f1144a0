"""Training lists: impressions as tensors by input name, in optimiser steps with lists of similar length."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.padding import mask_of, to_lists
from models.ragged import RaggedArray, RaggedBatch
from models.signature import Inputs
from models.training.examples.negative_sampling import NegativeSampler

_STEPS_SORTED_TOGETHER = 64
_HISTORY_GROUPS = 8


@dataclass(frozen=True)
class Step:
    """The data for one optimiser step.

    Attributes:
        inputs: the model's inputs by name.
        labels: (B, M).
        present: bool (B, M), True for slots with a candidate, False for padding.
        teacher: (B, M), an earlier model's scores, from the column "teacher", else "score". None without both.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    present: Tensor
    teacher: Tensor | None = None


class Assembler(Protocol):
    """Builds a model's inputs, as ``InputAssembler`` does."""

    def __call__(self, batch: RaggedBatch, /) -> Inputs:
        """Return arrays by input name."""
        ...

    def flatten(self, outputs: Inputs, batch: RaggedBatch, /) -> Inputs:
        """Return per-candidate outputs as (N, ...)."""
        ...


@dataclass(frozen=True)
class Lists:
    """Impressions with their labels.

    Attributes:
        labels: (N,).
        assembler: assembles the model's inputs, as in serving.
        sampler: adds negatives to the lists in a step. None: no negatives.
    """

    batch: RaggedBatch
    labels: NDArray[np.float32]
    assembler: Assembler
    sampler: NegativeSampler | None = None

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.batch)

    @property
    def teacher(self) -> NDArray[Any]:
        """The teacher's scores (N,). The lists must have some."""
        column = _teacher_in(self.batch.candidates)
        assert column is not None, "the lists have a teacher's scores"
        return self.batch.candidates[column]

    def subset(self, requests: NDArray[np.int64]) -> "Lists":
        """Return the lists with these indices, in this order."""
        part = self.with_labels().take(requests)
        return replace(self, batch=part, labels=part.candidates["label"])

    def with_labels(self) -> RaggedBatch:
        """Return the batch with the labels as the candidate column "label"."""
        return self.batch.adding(candidates={"label": self.labels})

    def step(self, requests: NDArray[np.int64]) -> Step:
        """Return the lists with these indices as tensors."""
        part = self.with_labels().take(requests)
        if self.sampler is not None:
            part = self.sampler(part, seed=zlib.crc32(requests.tobytes()))
        columns = part.candidates
        return Step(
            inputs={name: torch.from_numpy(values) for name, values in self.assembler(part).items()},
            labels=_padded(columns["label"], part.offsets),
            present=torch.from_numpy(mask_of(part.offsets)),
            teacher=None
            if (column := _teacher_in(columns)) is None
            else _padded(columns[column], part.offsets),
        )

    def shuffled(self, size: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return one epoch's steps, as list indices. Lists of similar size are together to save padding.

        The lists are shuffled and cut into large chunks. Each chunk is sorted by history length and cut into groups.
        Each group is sorted by candidate count and cut into steps. Then the steps are shuffled.

        Args:
            size: lists per step.
            random: the random generator.
        """
        lengths, past = self.batch.lengths, _longest_past(self.batch)
        order = random.permutation(len(self))
        chunk = size * _STEPS_SORTED_TOGETHER
        steps: list[NDArray[np.int64]] = []
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            part = part[np.argsort(past[part], kind="stable")]
            group = np.arange(len(part)) // (size * _STEPS_SORTED_TOGETHER // _HISTORY_GROUPS)
            part = part[np.lexsort((lengths[part], group))]
            steps += [part[index : index + size] for index in range(0, len(part), size)]
        return [steps[index] for index in random.permutation(len(steps))]

    def by_size(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of all lists once, ``size`` at a time. Lists of similar size are together."""
        order = np.lexsort((self.batch.lengths, _longest_past(self.batch)))
        for start in range(0, len(order), size):
            yield order[start : start + size]


def _teacher_in(columns: Mapping[str, Any]) -> str | None:
    """Return the column with a teacher's scores. A reranker's student reads the ranker's scores in "score" itself."""
    return next((name for name in ("teacher", "score") if name in columns), None)


def _padded(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(to_lists(values, offsets)))


def _longest_past(batch: RaggedBatch) -> NDArray[np.int64]:
    past = [column.lengths for column in batch.requests.values() if isinstance(column, RaggedArray)]
    return np.max(past, axis=0) if past else np.zeros(len(batch), dtype=np.int64)
