"""Checkpoints: a killed training continues from its last checkpoint. On the CPU the result is the same, bit for bit.

A checkpoint is a folder next to the future artifact, written atomically as safetensors and JSON, never pickle. It
contains the training's key, a hash of everything that the model is made from. A checkpoint with another key is ignored.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.atomic_directory import written_whole

_STATE = "state.json"
_RANDOM = "random"


@dataclass(frozen=True)
class TrainingProgress:
    """A training's progress.

    Attributes:
        step: optimiser steps taken.
        best: best NDCG@10 so far on the selection lists.
        misses: evaluations since ``best`` was reached.
    """

    step: int
    best: float
    misses: int


Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    """The state that the loop needs to continue, except the random state.

    Attributes:
        weights: current weights.
        best_weights: weights with the best NDCG@10.
        moments: optimiser state, as from ``moments_of``.
    """

    reached: TrainingProgress
    weights: Weights
    best_weights: Weights
    moments: Weights


class TrainingCheckpoint:
    """A training's checkpoint. A later checkpoint replaces it."""

    def __init__(self, root: Path, key: str) -> None:
        """Set the checkpoint's folder, and the key: a hash of everything that the model is made from."""
        self._root = root
        self._key = key

    def save(self, snapshot: Snapshot) -> None:
        """Write the snapshot and torch's random state atomically."""
        with written_whole(self._root) as staging:
            for name in ("weights", "best_weights", "moments"):
                tensors: Weights = getattr(snapshot, name)
                save_file({k: v.contiguous() for k, v in tensors.items()}, staging / f"{name}.safetensors")
            save_file({_RANDOM: torch.get_rng_state()}, staging / f"{_RANDOM}.safetensors")
            (staging / _STATE).write_text(json.dumps({"key": self._key, **asdict(snapshot.reached)}))

    def load(self) -> Snapshot | None:
        """Return the saved snapshot, and restore torch's random state.

        Returns:
            None if there is no checkpoint, or if it is damaged or has another key.
        """
        try:
            state = json.loads((self._root / _STATE).read_text())
            if state.pop("key") != self._key:
                return None
            tensors = [
                load_file(self._root / f"{name}.safetensors")
                for name in ("weights", "best_weights", "moments", _RANDOM)
            ]
        except (OSError, ValueError, KeyError, SafetensorError):
            return None  # no checkpoint, or a folder damaged by a disk failure: the training starts from the beginning
        torch.set_rng_state(tensors[3][_RANDOM])
        return Snapshot(TrainingProgress(**state), *tensors[:3])

    def clear(self) -> None:
        """Remove the checkpoint, with its temporary folders."""
        for suffix in ("", ".writing", ".replaced"):
            shutil.rmtree(self._root.with_name(self._root.name + suffix), ignore_errors=True)


def moments_of(optimizer: torch.optim.Optimizer) -> Weights:
    """Return an optimiser's state as tensors by name, "<parameter index>.<state name>"."""
    state: dict[int, Weights] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def set_moments(optimizer: torch.optim.Optimizer, moments: Weights) -> None:
    """Restore an optimiser's state from the result of ``moments_of``."""
    state: dict[int, Weights] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
