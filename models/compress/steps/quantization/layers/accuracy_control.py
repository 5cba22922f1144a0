"""Post-training quantisation with NNCF, which reverts layers until the loss of NDCG is within a budget.

The graph has pairs of QuantizeLinear and DequantizeLinear, which OpenVINO and ONNX Runtime execute. NNCF also corrects
the biases, and orders the layers by their influence on the metric (nncf.quantize_with_accuracy_control).
"""

import logging
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from models.compress.steps.quantization.calibration.calls import Calls, ndcg_of
from models.compress.steps.quantization.graph import Graph
from models.compress.steps.quantization.layers.layers import Layer
from models.errors import TrainingError
from models.no_telemetry import import_openvino
from models.runtimes.onnx import OnnxSession

if TYPE_CHECKING:
    from collections.abc import Collection

    from onnx import ModelProto


def quantise_with_control(
    graph: Graph,
    layers: "Collection[Layer]",
    calibration: Calls,
    judged: Calls,
    output: str,
    max_ndcg_loss: float,
) -> Graph:
    """Return the quantised graph.

    Only the layers are quantised. NNCF would otherwise round coordinates too, whose differences are small.

    Args:
        graph: the graph, which stays as it is.
        layers: the layers to quantise.
        calibration: lists for the ranges of activations.
        judged: lists with labels, for the NDCG.
        output: the output with the scores.
        max_ndcg_loss: the largest loss, as a share of the NDCG before.

    Raises:
        TrainingError: no list in ``judged`` has a label above 0, or NNCF cannot quantise the graph.
    """
    import onnx

    nncf = _imported()

    rated = [index for index, labels in enumerate(judged.labels) if labels.max(initial=0) > 0]
    if not rated:
        raise TrainingError(
            "quantize: mode nncf requires at least one list with a label above 0 in the split select; build a larger "
            "data set"
        )

    def validate(model: "ModelProto", data: Iterable[int]) -> tuple[float, list[float]]:
        session = OnnxSession(model.SerializeToString(), "the graph in NNCF")
        values = []
        for index in data:
            inputs = judged.inputs[index]
            found = session.run([output], {name: inputs[name] for name in session.inputs})[output]
            values.append(ndcg_of(found.reshape(-1), judged.labels[index]))
        return float(np.mean(values)), values

    wanted = {name for layer in layers for name in layer.nodes}
    others = [node.name for node in graph.nodes if node.name not in wanted]
    nncf.set_log_level(logging.CRITICAL)
    with TemporaryDirectory(prefix="rankway-quantize-") as folder, redirect_stdout(StringIO()):
        path = Path(folder) / "graph.onnx"
        graph.save(path)
        model = onnx.load(path)
        with redirect_stderr(StringIO()):  # progress bars
            try:
                quantised: Any = nncf.quantize_with_accuracy_control(
                    model,
                    nncf.Dataset(calibration.inputs),
                    nncf.Dataset(rated, judged.inputs.__getitem__),
                    validate,
                    max_drop=max_ndcg_loss,
                    drop_type=nncf.DropType.RELATIVE,
                    subset_size=len(calibration.inputs),
                    ignored_scope=nncf.IgnoredScope(names=others, validate=False),
                )
            except (
                nncf.ValidationError,
                nncf.UnsupportedModelError,
                nncf.InternalError,
                RuntimeError,
            ) as error:
                raise TrainingError(
                    f"quantize: NNCF cannot quantise the graph: {error}; use mode: static"
                ) from error
    return Graph(quantised, graph.path)


def _imported() -> Any:
    """Import NNCF without telemetry. It sets the class of all later loggers, which this undoes.

    Loggers of that class do not pass messages on, so those of other modules would be lost.
    """
    import_openvino()
    loggers = logging.getLoggerClass()
    try:
        import nncf
    finally:
        logging.setLoggerClass(loggers)
    return nncf
