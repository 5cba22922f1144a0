"""LightGBM models in their text format, as ``booster.save_model`` writes it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import Native, Original, Rows
from models.importing.lightgbm_trees import node_of, steps_of
from models.importing.trees import Node, Step, edges, graph_of
from models.runtimes.trees.files import LIGHTGBM_FILE
from models.runtimes.trees.lightgbm import open_booster
from models.runtimes.trees.lightgbm_text import parts_of

if TYPE_CHECKING:
    from onnx import ModelProto


def load(source: Path) -> Original:
    """Load a LightGBM model.

    Raises:
        ArtifactError: the file is damaged, or the model has several scores per row.
        MissingPackage: a package of the extra import is not installed.
    """
    require(["lightgbm", "onnx"], "import")
    import lightgbm as lgb

    text = source.read_text(encoding="utf-8", errors="replace")
    return of_text(text, str(source), lgb.__version__)


def of_text(text: str, name: str, version: str) -> Original:
    """Return the model in ``text``.

    Args:
        text: the content of a model file.
        name: the model's name in errors.
        version: LightGBM's version.

    Raises:
        ArtifactError: as for ``load``.
    """
    booster = open_booster(text, name)
    width = booster.num_feature()
    header, parts = parts_of(text)
    steps: list[Step] = []
    trees: list[Node] = []
    problem: str | None = None
    try:
        steps, trees = steps_of(header, len(parts)), [node_of(part) for part in parts]
    except ValueError as error:
        problem = f"{name}: {error}"

    def predict(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(booster.predict(rows), dtype=np.float64)

    def convert(output: str) -> "ModelProto":
        if problem is not None:
            raise ArtifactError(problem)
        return graph_of(trees, width, output, steps)

    return Original(
        library=f"lightgbm {version}",
        width=width,
        names=tuple(booster.feature_name()),
        predict=predict,
        convert=convert,
        edges=edges(trees, width),
        native=Native("lightgbm", LIGHTGBM_FILE, text.encode()),
    )
