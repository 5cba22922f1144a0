"""Trains a DLRM on clicks in one pass, on the CPU.

A step touches some tens of thousands of the table's millions of rows. So only these rows are parameters of the step:
they are copied out of the table, updated and copied back. The table has the row-wise Adagrad of the DLRM's authors,
whose state is one number per row. The dense layers have AdamW.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.clicks.teacher import Clicks
from models.architectures.dlrm import Dlrm
from models.errors import TrainingError

_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Fit:
    """Options of the training.

    Attributes:
        batch: rows per step.
        learning_rate: of the dense layers, at its maximum.
        table_rate: of the table's rows.
    """

    batch: int = 1000
    learning_rate: float = 2e-3
    table_rate: float = 0.03
    weight_decay: float = 1e-5


def fit(
    model: Dlrm,
    chunks: Iterable[Clicks],
    rows: int,
    options: Fit,
    *,
    seed: int,
    progress: Callable[[int, float], None] = lambda done, loss: None,
) -> None:
    """Train the model in place.

    Args:
        model: the model.
        chunks: the rows, once.
        rows: their number, which determines the learning rate's course.
        options: the options.
        seed: the seed of the row order inside a chunk.
        progress: called after each step with the number of rows done, and the step's loss.

    Raises:
        TrainingError: the loss is not finite.
    """
    dense = {name: each for name, each in model.named_parameters() if name != "table"}
    optimizer = torch.optim.AdamW(dense.values(), weight_decay=options.weight_decay, fused=True)
    table = Table(model.table.detach(), options.table_rate)
    done = 0
    model.train()
    for batch in _batches(chunks, options.batch, seed):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * _rate(done, rows)
        numbers = torch.from_numpy(batch.sparse) + model.first_row
        used, places = numbers.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        copied = table.rows(used)
        # The copied rows are the whole table in this step, so places are row numbers of it.
        replaced = {"table": copied, "first_row": torch.zeros_like(model.first_row)}
        inputs = {"dense": torch.from_numpy(batch.dense), "sparse": places}
        scores = functional_call(model, replaced, (inputs,))
        loss = nn.functional.binary_cross_entropy_with_logits(scores, torch.from_numpy(batch.labels))
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"dlrm: the loss must be finite, got {loss.item()} after {done} rows; lower learning_rate "
                f"({options.learning_rate}) or table_rate ({options.table_rate})"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        table.update(used, copied, _rate(done, rows))
        done += len(batch)
        progress(done, loss.item())
    model.eval()


class Table:
    """An embedding table with row-wise Adagrad."""

    def __init__(self, weights: Tensor, rate: float) -> None:
        """Take the table's weights (R, W), which are updated in place, and the learning rate."""
        self._weights, self._rate = weights, rate
        self._squares = torch.zeros(len(weights))

    def rows(self, used: Tensor) -> Tensor:
        """Return a copy of some rows, as a leaf that gets gradients."""
        return self._weights[used].requires_grad_()

    def update(self, used: Tensor, copied: Tensor, factor: float) -> None:
        """Update the rows from the gradients of their copy. ``factor`` multiplies the learning rate."""
        gradient = copied.grad
        assert gradient is not None
        self._squares[used] += gradient.square().mean(dim=1)
        step = factor * self._rate / (self._squares[used].sqrt() + _TINY)
        self._weights[used] -= step[:, None] * gradient


def scores_of(model: Dlrm, clicks: Clicks, batch: int = 4096) -> NDArray[np.float32]:
    """Return the model's scores (N,)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(clicks), batch):
            part = clicks.rows(slice(start, start + batch))
            inputs = {"dense": torch.from_numpy(part.dense), "sparse": torch.from_numpy(part.sparse)}
            parts.append(model(inputs).numpy())
    return np.concatenate(parts)


def _batches(chunks: Iterable[Clicks], size: int, seed: int) -> Iterator[Clicks]:
    random = np.random.default_rng(seed)
    for chunk in chunks:
        order = random.permutation(len(chunk))
        for start in range(0, len(order), size):
            yield chunk.rows(order[start : start + size])


def _rate(done: int, rows: int) -> float:
    """Return the learning rate as a share of its maximum: a short rise, then a line down to a tenth."""
    passed = done / rows
    return min(1.0, (passed + 0.002) / 0.02) * (1.0 - 0.9 * min(1.0, passed))
