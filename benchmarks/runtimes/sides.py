"""The runtimes that are compared: every built-in kind that loads a model into one process, with its main options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.artifact import Artifact
from models.errors import ModelError
from models.runtimes import check_runtime, compile_model, load_runtime
from models.runtimes.base import Runtime, RuntimeOptions
from models.runtimes.kinds.registry import RUNTIMES, runtime_config

ELSEWHERE = ("accelerate", "deepspeed", "auto", "python")
"""Kinds that are not compared: shard groups have ``benchmarks/sharding.py``, the others are no engines."""
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "openvino": {
            "openvino": {},
            "openvino bf16": {"precision": "bf16"},
            "openvino auto": {"precision": "auto"},
            "openvino dynamic": {"shapes": "dynamic"},
        },
        # mode: compile loads the same package as mode: aot.
        "torch": {"torch": {}, "torch aot": {"mode": "aot"}},
    }
)
"""The options of kinds that have several sides, by the side's name. Other kinds have their defaults."""
ORIGINALS = ("torch", "lightgbm", "xgboost", "onnx")
"""The sides whose scores are the reference, in order of preference."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The sides of one model.

    Attributes:
        runtimes: by side.
        configs: the options, by side.
        refused: the reasons of the sides that cannot load the model.
    """

    runtimes: Mapping[str, Runtime]
    configs: Mapping[str, RuntimeOptions]
    refused: Mapping[str, str]

    @property
    def reference(self) -> str:
        """The side whose scores are the reference. There is one, because ONNX Runtime loads every graph."""
        return next(side for side in (*ORIGINALS, *self.runtimes) if side in self.runtimes)


def sides() -> dict[str, RuntimeOptions]:
    """Return the options of every side, with one thread."""
    return {
        side: runtime_config(kind=kind, threads=1, **options)
        for kind in RUNTIMES.builtins
        if kind not in ELSEWHERE
        for side, options in VARIANTS.get(kind, {kind: {}}).items()
    }


def start(root: Path, artifact: Artifact, config: RuntimeOptions) -> Runtime:
    """Load the model with one side. A model that must be compiled first is compiled, unless it was before.

    Raises:
        ModelError: the side cannot load this model here.
    """
    check_runtime(config)
    compile_model(root, artifact, config)
    return load_runtime(root, artifact, config)


def load_sides(root: Path, artifact: Artifact, selected: Mapping[str, RuntimeOptions]) -> Loaded:
    """Load the model with each side that can."""
    runtimes, refused = {}, {}
    for side, config in selected.items():
        try:
            runtimes[side] = start(root, artifact, config)
        except ModelError as error:
            refused[side] = str(error)
    return Loaded(runtimes, {side: selected[side] for side in runtimes}, refused)
