"""Weights of a graph that are in another file: mapped into memory, and given to ONNX Runtime from there.

``onnx.load`` refuses such a file if it has several names on disk (hard links), as in a staged release.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx.opening import open_session, session_options

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


def mapped_weight(weight: "TensorProto", folder: Path) -> NDArray[Any]:
    """Return a weight that is in a file in ``folder``.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is too short.
    """
    from onnx import helper

    where = {entry.key: entry.value for entry in weight.external_data}
    dtype = helper.tensor_dtype_to_np_dtype(weight.data_type)
    return np.memmap(
        folder / Path(where.get("location", "")).name,
        dtype=dtype,
        mode="r",
        offset=int(where.get("offset", 0)),
        shape=tuple(weight.dims),
    )


def mapped_weights(model: "ModelProto", folder: Path) -> Mapping[str, NDArray[Any]]:
    """Return the weights of a graph that are in files in ``folder``, by name.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is too short.
    """
    weights = model.graph.initializer
    outside = [weight for weight in weights if weight.data_location == weight.EXTERNAL]
    return {weight.name: mapped_weight(weight, folder) for weight in outside}


def open_with_weights(
    model: Path | bytes, config: OnnxConfig, weights: Mapping[str, NDArray[Any]]
) -> ort.InferenceSession:
    """Open a graph whose references to other files are replaced by weights in memory.

    Args:
        model: a path, or the model's bytes.
        config: the options.
        weights: weights by name.

    Raises:
        RuntimeFailure: none of the configured providers works here.
        Exception: ONNX Runtime cannot load the model. Its errors share no public base class.
    """
    from onnx import helper

    options = session_options(config)
    values = [
        ort.OrtValue.ortvalue_from_numpy_with_onnx_type(each, helper.np_dtype_to_tensor_dtype(each.dtype))
        for each in weights.values()
    ]
    options.add_external_initializers(list(weights), values)
    session = open_session(model, config, options)
    session.rankway_weights = values  # they share the arrays' memory, which the session reads
    return session
