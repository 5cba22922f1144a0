"""The training loop, on Accelerate, with early stopping on NDCG@10."""

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, send_to_device
from numpy.typing import NDArray

from models.architectures.base import Architecture
from models.errors import TrainingError
from models.training.checkpoint import (
    Snapshot,
    TrainingCheckpoint,
    TrainingProgress,
    Weights,
    moments_of,
    set_moments,
)
from models.training.examples.lists import Lists, Step
from models.training.fit_config import FitConfig
from models.training.losses import LossFunction
from models.training.scoring import score_ndcg


class Progress(Protocol):
    """A callback that reports the progress of long work."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Report progress.

        Args:
            what: the work's name.
            done: steps done.
            total: steps in total.
            note: further text to show.
        """
        ...


@dataclass(frozen=True)
class Fitted:
    """The loop's result.

    Attributes:
        selection_ndcg: the final weights' NDCG@10 on the selection lists.
        steps: optimiser steps taken.
    """

    selection_ndcg: float
    steps: int


def fit(
    module: Architecture,
    train: Lists,
    select: Lists,
    config: FitConfig,
    *,
    loss_of: LossFunction,
    seed: int,
    what: str,
    progress: Progress,
    accelerator: Accelerator,
    checkpoint: TrainingCheckpoint | None = None,
) -> Fitted:
    """Fit the module in place. At the end it has the weights with the best NDCG@10 on ``select``.

    The initial weights compete too, so training never makes a model worse on ``select``. Every process of
    ``accelerate launch`` calls this function, and takes its share of the steps.

    Args:
        module: the module to fit.
        train: the training lists.
        select: the lists that select the best weights and stop the training.
        config: the options.
        loss_of: computes the loss from scores and step.
        seed: seed for the list order.
        what: model name in errors and progress.
        progress: called after every step.
        accelerator: moves data to the device and synchronises processes.
        checkpoint: the checkpoint to continue from and to write. None: no checkpoint.

    Raises:
        TrainingError: there are too few training lists, no label above 0 in ``select``, or the loss is not finite.
    """
    steps = _steps(train, config, seed, accelerator)
    if not steps:
        raise TrainingError(
            f"{what}: the training lists must give each of {accelerator.num_processes} processes at least one step of "
            f"up to {config.lists_per_step} lists, got {len(train)} lists with two or more known items; build a "
            f"larger data set"
        )
    every = max(1, math.ceil(len(steps) / (config.epochs * config.evaluations_per_epoch)))
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=config.weight_decay, fused=True)
    model, optimizer = accelerator.prepare(module, optimizer)

    def select_ndcg() -> float:
        value = torch.tensor(score_ndcg(module, select), dtype=torch.float64, device=accelerator.device)
        return float(broadcast(value).item())  # all processes use the first process's value

    saved = None if checkpoint is None else checkpoint.load()
    if saved is None:
        reached, best_weights = TrainingProgress(step=0, best=select_ndcg(), misses=0), _copy(module)
        if math.isnan(reached.best):
            raise TrainingError(
                f"{what}: the first half of the validation data has no label above 0; build the data set again"
            )
    else:
        reached, best_weights = saved.reached, saved.best_weights
        module.load_state_dict(saved.weights)
        set_moments(optimizer, saved.moments)
    module.train()  # scoring leaves this mode behind, but a resumed training has not scored yet
    saved_s = time.monotonic()
    while reached.step < len(steps) and reached.misses < config.patience:
        step_number, best, misses = reached.step + 1, reached.best, reached.misses
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _warm_then_cosine(reached.step, len(steps), config.warmup)
        step = Step(**send_to_device(vars(train.step(steps[reached.step])), accelerator.device))
        loss = loss_of(model(step.inputs), step)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"{what}: the loss must be finite, got {loss.item()} at step {step_number} of {len(steps)}; lower "
                f"fit.learning_rate ({config.learning_rate})"
            )
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        if step_number % every == 0 or step_number == len(steps):
            ndcg = select_ndcg()
            misses = 0 if ndcg > best else misses + 1
            if misses == 0:
                best, best_weights = ndcg, _copy(module)
        reached = TrainingProgress(step_number, best, misses)
        progress(what, step_number, len(steps), f"loss {loss.item():.3f}, NDCG@10 {best:.4f}")
        if checkpoint is not None and time.monotonic() - saved_s >= config.checkpoint_every_s:
            if accelerator.is_main_process:
                checkpoint.save(Snapshot(reached, _copy(module), best_weights, moments_of(optimizer)))
            saved_s = time.monotonic()
    module.load_state_dict(best_weights)
    for wrapper in ("forward", "_original_forward"):  # Accelerate's, which computes in bfloat16
        vars(module).pop(wrapper, None)  # its own unwrap_model would import deepspeed
    return Fitted(reached.best, reached.step)


def _steps(train: Lists, config: FitConfig, seed: int, accelerator: Accelerator) -> list[NDArray[np.int64]]:
    """Return this process's share of all epochs' steps. All processes have the same number of steps."""
    random = np.random.default_rng(seed)
    epochs = [train.shuffled(config.lists_per_step, random) for _ in range(config.epochs)]
    steps = [requests for epoch in epochs for requests in epoch]
    processes = accelerator.num_processes
    return steps[accelerator.process_index : len(steps) - len(steps) % processes : processes]


def _copy(module: Architecture) -> Weights:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _warm_then_cosine(step: int, steps: int, warmup: float) -> float:
    warm = max(1, round(steps * warmup))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
