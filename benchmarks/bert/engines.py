"""The engines that execute the ladder's models, as functions from a call's inputs to its scores."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs

LIMIT = "ONEDNN_MAX_CPU_ISA"
EngineName = Literal["torch", "torch int8", "onnx", "openvino", "openvino bf16"]
Engine = Callable[[Inputs], NDArray[np.float32]]


def load_engine(name: EngineName, root: Path, threads: int | None) -> Engine:
    """Load the artifact at ``root``.

    Args:
        name: the engine.
        root: the artifact.
        threads: threads of a call. None: as many as the framework takes by default, which is one per core.

    Raises:
        RuntimeFailure: the engine cannot execute the artifact on this CPU.
    """
    if name in {"torch", "torch int8"}:
        return _torch(root, threads, is_int8=name == "torch int8")
    artifact = Artifact.read(root)
    cores = threads or os.cpu_count() or 1
    config = runtime_config(kind="onnx", threads=cores)
    if name != "onnx":
        precision = "bf16" if name == "openvino bf16" else "f32"
        config = runtime_config(kind="openvino", threads=cores, precision=precision, shapes="dynamic")
    output = artifact.signature.outputs[0].name
    runtime = load_runtime(root, artifact, config)
    return lambda inputs: runtime.run(inputs)[output].reshape(-1)


def _torch(root: Path, threads: int | None, *, is_int8: bool) -> Engine:
    import torch
    from safetensors.torch import load_file

    from models.architectures.options import SequenceClassifierOptions
    from models.architectures.sequence_classifier import SequenceClassifier

    if threads is not None:
        torch.set_num_threads(threads)
    module = SequenceClassifier(SequenceClassifierOptions.model_validate(Artifact.read(root).architecture))
    module.load_state_dict(load_file(root / "model.safetensors"))
    module.eval()
    if is_int8:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, but the only int8 of PyTorch without a compiler
            module = torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]

    def run(inputs: Inputs) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = module({n: torch.from_numpy(v) for n, v in inputs.items()}).numpy()
            return scores.reshape(-1)

    return run
