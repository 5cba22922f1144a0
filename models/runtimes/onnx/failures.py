"""Errors of ONNX Runtime as RuntimeFailure, with a remedy that fits the cause."""

import re

import onnxruntime as ort

from models.errors import RuntimeFailure

_REMEDIES = (
    (
        r"Protobuf parsing failed|No graph was found|codec can't decode",
        "the file is damaged; copy the artifact again",
    ),
    (
        r"(?i)cuda|cudnn|tensorrt",
        "use a machine with an NVIDIA GPU, its driver, CUDA and cuDNN, or add cpu to runtime.providers",
    ),
    (r"External data path|File doesn't exist", "copy all files of the artifact"),
    (
        r"Opset \d+ is under development|Unsupported model IR version",
        f"export the model with an older opset, or install a newer ONNX Runtime than {ort.__version__}",
    ),
    (
        r"No Op registered for|is not a registered function/op|Could not find an implementation",
        f"ONNX Runtime {ort.__version__} lacks this operator; export the model without it, or choose another "
        f"runtime.kind",
    ),
)
"""Pattern in the message of ONNX Runtime, and remedy."""


def load_failure(name: str, error: Exception) -> RuntimeFailure:
    """Return the error for a model that cannot be loaded."""
    reason = reason_of(error)
    remedy = next(
        (text for pattern, text in _REMEDIES if re.search(pattern, reason)), "export the model again"
    )
    return RuntimeFailure(f"{name}: cannot be loaded by ONNX Runtime: {reason}; {remedy}")


def reason_of(error: Exception) -> str:
    """Return the message of an error on one line, without its code and without places in ONNX Runtime's own source."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    text = re.sub(r"^Load model from \S+ failed: ?", "", text)
    return re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", "", text).removesuffix(".")
