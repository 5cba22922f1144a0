"""``kind: lightgbm``: the LightGBM library, on the CPU."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions
from models.runtimes.trees.files import LIGHTGBM_FILE
from models.runtimes.trees.memory import held_trees


class LightGbmConfig(RuntimeOptions):
    """Options for the LightGBM library."""

    kind: Literal["lightgbm"] = "lightgbm"


def _load(path: Path, artifact: Artifact, config: LightGbmConfig) -> Runtime:
    from models.runtimes.trees.lightgbm import LightGbmRuntime

    return LightGbmRuntime(path, artifact.signature, threads=config.threads)


RUNTIME = RuntimeKind(
    config=LightGbmConfig,
    suffix=LIGHTGBM_FILE,
    load=_load,
    held=held_trees,
    packages=("lightgbm",),
    extra="trees",
)
