"""The kinds of runtimes; a new one takes a file beside this one and a line here. Options of one, as YAML has them."""

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
        "deepspeed": "models.runtimes.kinds.deepspeed:RUNTIME",
        "accelerate": "models.runtimes.kinds.accelerate:RUNTIME",
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
    """Give the options of one runtime from the fields that a pipeline's YAML has, ``kind`` among them.

    Raises:
        pydantic.ValidationError: no such kind or field, or a value out of range.
    """
    return _ADAPTER.validate_python(options)
