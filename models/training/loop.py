"""The loop: Accelerate over steps of lists, with early stopping on NDCG@10."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.architectures.base import Architecture
from models.architectures.layers import FORBIDDEN
from models.errors import TrainingError
from models.padding import from_lists
from models.ragged import gather_positions
from models.training.config import FitConfig, Loss
from models.training.lists import Lists, Step
from models.training.metrics import ndcg

LISTS_SCORED_TOGETHER = 256


class Progress(Protocol):
    """Hears how far a long piece of work is."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps of ``what`` are done."""
        ...


@dataclass(frozen=True)
class Fitted:
    """What the loop reached: selection NDCG@10 of the kept weights, and the optimiser steps taken."""

    selection_ndcg: float
    steps: int


def fit(
    module: Architecture,
    train: Lists,
    select: Lists,
    config: FitConfig,
    *,
    seed: int,
    what: str,
    progress: Progress,
) -> Fitted:
    """Fit the module in place; it ends with the weights that were best on ``select``.

    The weights at the start are a contestant too: training never makes a model worse on ``select``.

    Raises:
        TrainingError: there is nothing to learn or to select by, or the loss is not a finite number.
    """
    if len(train) == 0:
        raise TrainingError(
            f"{what}: the training data have no list of two or more known items; build them again"
        )
    accelerator = Accelerator()
    random = np.random.default_rng(seed)
    epochs = [train.shuffled(config.lists_per_step, random) for _ in range(config.epochs)]
    steps = [requests for epoch in epochs for requests in epoch]
    steps = steps[accelerator.process_index :: accelerator.num_processes]
    every = max(1, math.ceil(len(steps) / (config.epochs * config.evaluations_per_epoch)))
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_then_cosine(len(steps), config.warmup))
    model, optimizer = accelerator.prepare(module, optimizer)
    best, best_weights, misses = score_ndcg(module, select), copy.deepcopy(module.state_dict()), 0
    if math.isnan(best):
        raise TrainingError(f"{what}: no list to select by has a label above 0; build the data set again")
    for at, requests in enumerate(steps, start=1):
        step = send_to_device(vars(train.step(requests)), accelerator.device)
        loss = list_loss(model(step["inputs"]), Step(**step), config.loss)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"{what}: the loss is {loss.item()} at step {at} of {len(steps)}: look for NaN in the data, or lower "
                f"fit.learning_rate (it is {config.learning_rate})"
            )
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        if at % every == 0 or at == len(steps):
            reached = score_ndcg(module, select)
            misses = 0 if reached > best else misses + 1
            if misses == 0:
                best, best_weights = reached, copy.deepcopy(module.state_dict())
        progress(what, at, len(steps), f"loss {loss.item():.3f}, NDCG@10 {best:.4f}")
        if misses >= config.patience:
            break
    module.load_state_dict(best_weights)
    return Fitted(best, at)


def list_loss(scores: Tensor, step: Step, loss: Loss) -> Tensor:
    """Give the loss of scores (B, M).

    softmax: cross-entropy of the list's softmax with its labels' shares (ListNet's top one, Cao et al. 2007);
    lists without a label above 0 count nothing. bce: each candidate by itself.
    """
    if loss == "bce":
        each = binary_cross_entropy_with_logits(scores, step.labels, reduction="none")
        return each[step.present].mean()
    mass = step.labels.sum(dim=1)
    log_shares = torch.log_softmax(torch.where(step.present, scores, FORBIDDEN), dim=1)
    each = -(step.labels * log_shares).sum(dim=1) / mass.clamp(min=1e-6)
    return each.sum() / (mass > 0).sum().clamp(min=1)


def score(
    module: Architecture, lists: Lists, progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Give scores (N,) of all lists; ``progress`` hears how many lists are done."""
    module.eval()
    device = next(module.parameters()).device
    scores = np.zeros(lists.batch.candidate_count, dtype=np.float32)
    done = 0
    with torch.inference_mode():
        for requests in lists.by_size(LISTS_SCORED_TOGETHER):
            inputs = send_to_device(lists.step(requests).inputs, device)
            positions, offsets = gather_positions(lists.batch.offsets, requests)
            scores[positions] = from_lists(module(inputs).cpu().numpy(), offsets)
            done += len(requests)
            if progress is not None:
                progress(done)
    module.train()
    return scores


def score_ndcg(module: Architecture, lists: Lists) -> float:
    """Give the mean NDCG@10 of the module's order."""
    return ndcg(score(module, lists), lists.labels, lists.batch.offsets)


def _warm_then_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    warm = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return factor
