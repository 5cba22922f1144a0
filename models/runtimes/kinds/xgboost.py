"""``kind: xgboost``: the XGBoost library, on the CPU."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions
from models.runtimes.trees.files import XGBOOST_FILE
from models.runtimes.trees.memory import held_trees


class XgboostConfig(RuntimeOptions):
    """Options for the XGBoost library."""

    kind: Literal["xgboost"] = "xgboost"


def _load(path: Path, artifact: Artifact, config: XgboostConfig) -> Runtime:
    from models.runtimes.trees.xgboost import XgboostRuntime

    return XgboostRuntime(path, artifact.signature, threads=config.threads)


RUNTIME = RuntimeKind(
    config=XgboostConfig,
    suffix=XGBOOST_FILE,
    load=_load,
    held=held_trees,
    packages=("xgboost",),
    extra="trees",
)
