"""``kind: lightgbm``: the LightGBM library, on the CPU."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions

FILE = "model.txt"
"""The name of the library's own file in an artifact."""


class LightGbmConfig(RuntimeOptions):
    """Options for the LightGBM library."""

    kind: Literal["lightgbm"] = "lightgbm"


def _load(path: Path, artifact: Artifact, config: LightGbmConfig) -> Runtime:
    from models.runtimes.trees.lightgbm import LightGbmRuntime

    return LightGbmRuntime(path, artifact.signature, threads=config.threads)


RUNTIME = RuntimeKind(config=LightGbmConfig, suffix=FILE, load=_load, packages=("lightgbm",), extra="trees")
