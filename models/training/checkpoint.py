"""Checkpoints: a training that was killed goes on where it was, to the same result bit for bit on the CPU.

A checkpoint is a folder beside the artifact to be, written whole: safetensors and JSON, never pickle. It names what
it belongs to (the lineage's key); one of another training is not taken up.
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
    """How far a training is: steps taken, the best NDCG@10 so far, evaluations since without a better one."""

    step: int
    best: float
    misses: int


Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    """All that the loop needs to go on: weights now and at their best, and the optimiser's moments by parameter."""

    reached: TrainingProgress
    weights: Weights
    best_weights: Weights
    moments: Weights


class TrainingCheckpoint:
    """The one checkpoint of a training; later ones take its place."""

    def __init__(self, root: Path, key: str) -> None:
        """root: the folder. key: what the training is made from."""
        self._root = root
        self._key = key

    def save(self, snapshot: Snapshot) -> None:
        """Write it whole; random state included."""
        with written_whole(self._root) as staging:
            for name in ("weights", "best_weights", "moments"):
                tensors: Weights = getattr(snapshot, name)
                save_file({k: v.contiguous() for k, v in tensors.items()}, staging / f"{name}.safetensors")
            save_file({_RANDOM: torch.get_rng_state()}, staging / f"{_RANDOM}.safetensors")
            (staging / _STATE).write_text(json.dumps({"key": self._key, **asdict(snapshot.reached)}))

    def load(self) -> Snapshot | None:
        """Give what was saved, and set the random state; None where there is none of this training."""
        try:
            state = json.loads((self._root / _STATE).read_text())
            if state.pop("key") != self._key:
                return None
            tensors = [
                load_file(self._root / f"{name}.safetensors")
                for name in ("weights", "best_weights", "moments", _RANDOM)
            ]
        except (OSError, ValueError, KeyError, SafetensorError):
            return None  # none, or half a folder from a disk that failed: the training begins anew
        torch.set_rng_state(tensors[3][_RANDOM])
        return Snapshot(TrainingProgress(**state), *tensors[:3])

    def clear(self) -> None:
        """Remove it: the training is done."""
        for suffix in ("", ".writing", ".replaced"):
            shutil.rmtree(self._root.with_name(self._root.name + suffix), ignore_errors=True)


def moments_of(optimizer: torch.optim.Optimizer) -> Weights:
    """Give the optimiser's state as flat tensors, "<parameter's number>.<name>"."""
    state: dict[int, Weights] = optimizer.state_dict()["state"]
    return {f"{at}.{name}": value for at, values in state.items() for name, value in values.items()}


def set_moments(optimizer: torch.optim.Optimizer, moments: Weights) -> None:
    """Give the optimiser back what ``moments_of`` took."""
    state: dict[int, Weights] = {}
    for key, value in moments.items():
        at, _, name = key.partition(".")
        state.setdefault(int(at), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
