"""LightGBM models in their text format, as ``booster.save_model`` writes it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import Original, Rows
from models.importing.lightgbm_text import check_trees, parts_of, without_sizes
from models.importing.lightgbm_trees import node_of, steps_of
from models.importing.trees import edges, graph_of

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
    import lightgbm as lgb

    if "\nend of trees" not in text:
        raise ArtifactError(f"{name}: the end of the file is missing; copy the model again")
    text = without_sizes(text)
    check_trees(text, name)
    try:
        booster = lgb.Booster(model_str=text)
    except (lgb.basic.LightGBMError, ValueError) as error:
        raise ArtifactError(f"{name}: LightGBM cannot load it: {error}; save the model again") from error
    if booster.num_model_per_iteration() != 1:
        raise ArtifactError(
            f"{name}: expected one score per row, got {booster.num_model_per_iteration()}; train a ranker, a "
            f"regression or a binary classifier"
        )
    width = booster.num_feature()
    header, parts = parts_of(text)
    try:
        steps, trees = steps_of(header, len(parts)), [node_of(part) for part in parts]
    except ValueError as error:
        raise ArtifactError(f"{name}: {error}") from error

    def predict(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(booster.predict(rows), dtype=np.float64)

    def convert(output: str) -> "ModelProto":
        return graph_of(trees, width, output, steps)

    return Original(
        library=f"lightgbm {version}",
        width=width,
        names=tuple(booster.feature_name()),
        predict=predict,
        convert=convert,
        edges=edges(trees, width),
    )
