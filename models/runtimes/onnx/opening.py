"""Open sessions of ONNX Runtime, from the options of ``kind: onnx``."""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx.providers import NamedProvider, open_on_first

_FATAL_ONLY = 4  # errors are raised, so they need not be printed too
_LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "layout": ort.GraphOptimizationLevel.ORT_ENABLE_LAYOUT,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def open_session(
    model: Path | bytes, config: OnnxConfig, options: ort.SessionOptions | None = None
) -> ort.InferenceSession:
    """Open a model on the first providers that work here.

    Args:
        model: a path, or the model's bytes.
        config: the options.
        options: ONNX Runtime's options. None: ``session_options(config)``.

    Raises:
        RuntimeFailure: none of the configured providers works here.
        Exception: ONNX Runtime cannot load the model. Its errors share no public base class.
    """
    source = str(model) if isinstance(model, Path) else model
    options = options or session_options(config)

    def open_on(providers: Sequence[NamedProvider]) -> ort.InferenceSession:
        # ONNX Runtime's own fallback prints the error and hides it.
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
        session._model_bytes = None  # kept for that fallback only, and as large as the model
        return session

    return open_on_first(config.providers, ort.get_available_providers(), open_on)


def session_options(config: OnnxConfig) -> ort.SessionOptions:
    """Return ONNX Runtime's options."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    if config.execution_mode == "parallel":
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
        options.inter_op_num_threads = config.threads
    options.log_severity_level = _FATAL_ONLY
    options.graph_optimization_level = _LEVELS[config.graph_optimization_level]
    options.enable_cpu_mem_arena = config.cpu_mem_arena
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", str(int(config.allow_spinning)))
    return options
