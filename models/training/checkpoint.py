"""Checkpoints: a killed training continues from the last one. On the CPU its result is the same, bit for bit.

A checkpoint is a folder next to the future artifact. It is written atomically, as safetensors and JSON, never pickle.
It contains the key of the training, a hash of everything that it is made from. A checkpoint with another key is
ignored.
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
    """The progress of a training.

    Attributes:
        step: optimiser steps taken.
        best: the best NDCG@10 so far on the selection lists.
        misses: evaluations since then without a better NDCG@10.
    """

    step: int
    best: float
    misses: int


Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    """The state that the loop needs to continue, except the random state.

    Attributes:
        reached: the progress.
        weights: the current weights.
        best_weights: the weights with the best NDCG@10.
        moments: the state of the optimiser, as ``moments_of`` returns it.
    """

    reached: TrainingProgress
    weights: Weights
    best_weights: Weights
    moments: Weights


class TrainingCheckpoint:
    """The checkpoint of a training. A later one replaces it."""

    def __init__(self, root: Path, key: str) -> None:
        """Set the folder and the key.

        Args:
            root: the folder of the checkpoint.
            key: hash of everything that the training is made from.
        """
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
        """Return the saved snapshot, and restore the random state.

        Returns:
            None if there is no checkpoint, or it belongs to another training or is damaged.
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
    """Return the state of an optimiser as tensors by name, "<parameter index>.<state name>"."""
    state: dict[int, Weights] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def set_moments(optimizer: torch.optim.Optimizer, moments: Weights) -> None:
    """Restore the state of an optimiser from the result of ``moments_of``."""
    state: dict[int, Weights] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
