"""scikit-learn models in skops' format. A pickle is never loaded."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.extras import require
from models.importing.converted import INPUT, OPSET, Original, Rows
from models.importing.onnx_graph import replace_output
from models.importing.scikit_learn_trees import convertible, whole_number_flags

if TYPE_CHECKING:
    from onnx import ModelProto

_TRUSTED = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types of numpy and scikit-learn that skops does not trust by default. They hold numbers and other trusted types."""
_MOST_TEXT = 300
_OPSETS = {"": OPSET, "ai.onnx.ml": 3}


def load(source: Path) -> Original:
    """Load a scikit-learn model.

    Raises:
        ArtifactError: the file is damaged, has types of other packages, or is not a model with one score per row.
        MissingPackage: a package of the extra import is not installed.
    """
    require(["skops", "sklearn", "skl2onnx", "onnx"], "import")
    import sklearn
    import skops.io

    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=source)) - set(_TRUSTED))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another version of scikit-learn: the scores are compared below
            model: Any = None if unknown else skops.io.load(source, trusted=list(_TRUSTED))
    except Exception as error:  # skops's errors on damaged files share no base class
        raise ArtifactError(
            f"{source}: skops cannot load it: {_short(error)}; save the model again"
        ) from error
    if unknown:
        raise ArtifactError(
            f"{source}: it contains {', '.join(unknown)}, which could execute code; use types of scikit-learn "
            f"only, or export the model to ONNX yourself"
        )
    is_classifier = hasattr(model, "predict_proba")
    if not hasattr(model, "predict") or not hasattr(model, "n_features_in_"):
        raise ArtifactError(
            f"{source}: expected a fitted model, got {type(model).__name__}; save a fitted one"
        )
    if not is_classifier and hasattr(model, "classes_"):
        raise ArtifactError(
            f"{source}: expected probabilities, but {type(model).__name__} predicts classes only; train a classifier "
            f"with predict_proba, or wrap it in a CalibratedClassifierCV"
        )
    if is_classifier and len(model.classes_) != 2:
        raise ArtifactError(
            f"{source}: expected two classes, got {len(model.classes_)}; train a regression or a binary classifier"
        )
    names = getattr(model, "feature_names_in_", None)
    width = int(model.n_features_in_)

    def predict(rows: Rows) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows without column names
            try:
                scores = model.predict_proba(rows)[:, 1] if is_classifier else model.predict(rows)
            except ValueError as error:  # missing values, for most models
                raise ArtifactError(
                    f"{source}: {type(model).__name__} cannot score the vectors: {str(error).splitlines()[0]} Import "
                    f"it with --missing and a number"
                ) from error
        return np.asarray(scores, dtype=np.float64)

    def convert(output: str) -> "ModelProto":
        return _converted(model, width, output, str(source))

    return Original(
        library=f"scikit-learn {sklearn.__version__}",
        width=width,
        names=None if names is None else tuple(map(str, names)),
        predict=predict,
        convert=convert,
    )


def _converted(model: Any, width: int, output: str, name: str) -> "ModelProto":
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    is_classifier = hasattr(model, "predict_proba")
    try:
        with warnings.catch_warnings(), whole_number_flags():
            warnings.simplefilter("ignore")
            graph: ModelProto = to_onnx(
                convertible(model),
                initial_types=[(INPUT, FloatTensorType([None, width]))],
                target_opset=_OPSETS,
                options={"zipmap": False} if is_classifier else None,
            )
    except Exception as error:  # skl2onnx's errors share no base class
        raise ArtifactError(
            f"{name}: skl2onnx cannot convert {type(model).__name__}: {_short(error)}; export the model to ONNX "
            f"yourself, or train another kind of model"
        ) from error
    outputs = [tensor.name for tensor in graph.graph.output]
    if is_classifier:
        replace_output(graph, outputs[-1], output, [("Gather", 1)])
    else:
        replace_output(graph, outputs[0], output, [])
    return graph


def _short(error: Exception) -> str:
    """Return the innermost cause, without the attributes that skl2onnx lists."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    text = " ".join(str(error).split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
