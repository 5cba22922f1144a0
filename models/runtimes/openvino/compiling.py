"""Compiles an ONNX graph with OpenVINO for this machine's CPU."""

import os
import re
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from models.errors import RuntimeFailure
from models.no_telemetry import import_openvino
from models.runtimes.kinds.openvino import OpenVinoConfig

if TYPE_CHECKING:
    from openvino import CompiledModel

_WITH_BF16 = ("DEFAULT", "ALL", "BF16", "FP16", "AMX", "AVX10")
"""Parts of the values of ONEDNN_MAX_CPU_ISA that allow bfloat16."""
_COMPILING = Lock()
"""Held while a graph is compiled. A process ended with a segmentation fault while two threads compiled graphs."""


def compile_graph(path: Path, config: OpenVinoConfig, precision: str) -> "CompiledModel":
    """Read the graph at ``path`` and compile it for inputs of any shape.

    Raises:
        RuntimeFailure: OpenVINO cannot read or compile it.
    """
    try:
        # Not Core.read_model, which tries the readers of other formats too and prints their errors.
        reader = import_openvino().frontend.FrontEndManager().load_by_framework("onnx")
        source = reader.convert(reader.load(str(path)))
        with _COMPILING:
            return import_openvino().Core().compile_model(source, "CPU", _properties(config, precision))
    except Exception as error:  # OpenVINO's errors share no public base class
        raise RuntimeFailure(
            f"{path}: cannot be compiled by OpenVINO in {precision}: {reason(error)}; use runtime.kind: onnx"
            f"{'' if precision == 'f32' else ', or precision: f32'}, or export the model again"
        ) from error


def cpu_computes_bf16() -> bool:
    """Return whether this CPU has instructions for bfloat16 that OpenVINO's kernels may use.

    The variable ``ONEDNN_MAX_CPU_ISA`` limits the kernels' instructions. OpenVINO does not know the limit, and computes
    in bfloat16 all the same. It then fails, returns outputs of a wrong shape, or ends the process.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    if not any(name in limit.upper() for name in _WITH_BF16):
        return False
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def refuse_unsupported(config: OpenVinoConfig) -> None:
    """Check that this CPU can compute in the configured precision.

    Raises:
        RuntimeFailure: it cannot.
    """
    if config.precision == "bf16" and not cpu_computes_bf16():
        raise RuntimeFailure(
            "runtime.precision: bf16 requires a CPU with instructions for bfloat16 (avx512_bf16 or amx_bf16), which "
            "ONEDNN_MAX_CPU_ISA does not exclude; use precision: f32, or auto"
        )


def reason(error: Exception) -> str:
    """Return the last line of an error's message that says something, without places in OpenVINO's own source."""
    lines = [re.sub(r"\S*src/\S+:\d+:?", "", line).strip() for line in str(error).splitlines()]
    useful = [
        line for line in lines if line and not re.match(r"Exception from|Check '|FrontEnd API|Summary", line)
    ]
    return " ".join(useful[-2:]).removeprefix("-- ").removesuffix(".") or type(error).__name__


def _properties(config: OpenVinoConfig, precision: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": config.hint.upper(),
        "INFERENCE_NUM_THREADS": config.threads,
        # Pinned threads of several replicas would share the first cores.
        "ENABLE_CPU_PINNING": False,
    }
    streams = 1 if config.streams is None and config.hint == "latency" else config.streams
    return properties if streams is None else {**properties, "NUM_STREAMS": streams}
