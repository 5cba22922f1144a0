"""LightGBM models in their text format, as ``booster.save_model`` writes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import INPUT, OPSET, Original, Rows
from models.importing.lightgbm_text import as_onnx_decides, check_trees, without_sizes
from models.importing.onnx_graph import replace_output

if TYPE_CHECKING:
    from onnx import ModelProto


def load(source: Path) -> Original:
    """Load a LightGBM model.

    Raises:
        ArtifactError: the file is damaged, or the model has several scores per row.
        MissingPackage: a package of the extra import is not installed.
    """
    require(["lightgbm", "onnxmltools", "onnx"], "import")
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
        rounded = lgb.Booster(model_str=as_onnx_decides(text))
    except (lgb.basic.LightGBMError, ValueError) as error:
        raise ArtifactError(f"{name}: LightGBM cannot load it: {error}; save the model again") from error
    if booster.num_model_per_iteration() != 1:
        raise ArtifactError(
            f"{name}: expected one score per row, got {booster.num_model_per_iteration()}; train a ranker, a "
            f"regression or a binary classifier"
        )
    width = booster.num_feature()
    edges, categories = _edges(rounded.dump_model(), width)

    def predict(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(booster.predict(rows), dtype=np.float64)

    def convert(output: str) -> "ModelProto":
        return _converted(rounded, width, output)

    return Original(
        library=f"lightgbm {version}",
        width=width,
        names=tuple(booster.feature_name()),
        predict=predict,
        convert=convert,
        edges=edges,
        categories=categories,
    )


def _converted(booster: Any, width: int, output: str) -> "ModelProto":
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    graph: ModelProto = convert_lightgbm(
        booster, initial_types=[(INPUT, FloatTensorType([None, width]))], target_opset=OPSET, zipmap=False
    )
    outputs = [tensor.name for tensor in graph.graph.output]
    if "probabilities" in outputs:
        replace_output(graph, "probabilities", output, [("Gather", 1)])
    else:
        replace_output(graph, outputs[0], output, [])
    return graph


def _edges(model: dict[str, Any], width: int) -> tuple[tuple[NDArray[np.float32], ...], frozenset[int]]:
    """Return the thresholds and categories by column, and the columns with categories."""
    categories: set[int] = set()
    edges: list[list[float]] = [[] for _ in range(width)]
    waiting = [tree["tree_structure"] for tree in model["tree_info"]]
    while waiting:
        node = waiting.pop()
        if "split_feature" not in node:
            continue
        if node["decision_type"] == "==":
            categories.add(node["split_feature"])
            edges[node["split_feature"]] += [float(part) for part in str(node["threshold"]).split("||")]
        else:
            edges[node["split_feature"]].append(float(node["threshold"]))
        waiting += [node["left_child"], node["right_child"]]
    return tuple(np.unique(np.array(values, dtype=np.float32)) for values in edges), frozenset(categories)
