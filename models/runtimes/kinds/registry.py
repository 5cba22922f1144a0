"""The registry of runtimes, and their options in YAML.

A new runtime needs a file in this folder and a line here.
"""

from typing import Annotated, Any

from pydantic import TypeAdapter

from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry
from models.runtimes.base import AnyRuntimeKind, RuntimeKind, RuntimeOptions

RUNTIMES: Registry[AnyRuntimeKind] = Registry(
    "runtime",
    {
        "onnx": "models.runtimes.kinds.onnx:RUNTIME",
        "torch": "models.runtimes.kinds.torch:RUNTIME",
        "torchscript": "models.runtimes.kinds.torchscript:RUNTIME",
        "deepspeed": "models.runtimes.kinds.deepspeed:RUNTIME",
        "accelerate": "models.runtimes.kinds.accelerate:RUNTIME",
        "openvino": "models.runtimes.kinds.openvino:RUNTIME",
        "lightgbm": "models.runtimes.kinds.lightgbm:RUNTIME",
        "xgboost": "models.runtimes.kinds.xgboost:RUNTIME",
        "auto": "models.runtimes.kinds.auto:RUNTIME",
        "python": "models.runtimes.kinds.python:RUNTIME",
    },
    entry=RuntimeKind,
    options=RuntimeOptions,
    group="rankway.runtimes",
)
RuntimeConfig = Annotated[RuntimeOptions, ByKind(RUNTIMES)]
_ADAPTER: TypeAdapter[RuntimeOptions] = TypeAdapter(RuntimeConfig)


def runtime_config(**options: Any) -> RuntimeConfig:
    """Parse a runtime's options from a pipeline's YAML, including ``kind``.

    Raises:
        pydantic.ValidationError: the kind or a field is unknown, or a value is out of range.
    """
    return _ADAPTER.validate_python(options)
