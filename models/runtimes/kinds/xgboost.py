"""``kind: xgboost``: the XGBoost library, on the CPU."""

from pathlib import Path
from typing import Literal

from models.artifact import Artifact
from models.runtimes.base import Runtime, RuntimeKind, RuntimeOptions

FILE = "model.json"
"""The name of the library's own file in an artifact."""


class XgboostConfig(RuntimeOptions):
    """Options for the XGBoost library."""

    kind: Literal["xgboost"] = "xgboost"


def _load(path: Path, artifact: Artifact, config: XgboostConfig) -> Runtime:
    from models.runtimes.trees.xgboost import XgboostRuntime

    return XgboostRuntime(path, artifact.signature, threads=config.threads)


RUNTIME = RuntimeKind(config=XgboostConfig, suffix=FILE, load=_load, packages=("xgboost",), extra="trees")
