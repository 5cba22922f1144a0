"""Execution providers: the first configured one that works here runs the model.

ONNX Runtime leaves out a provider that cannot start, or raises an error, depending on the cause. If it leaves one out,
the model silently runs on the CPU. So the providers of an open session are compared with the configured ones.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from models.errors import RuntimeFailure
from models.runtimes.kinds.onnx import Provider

_log = logging.getLogger(__name__)
_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_OPTIONS: dict[Provider, dict[str, str]] = {
    "cuda": {
        "use_tf32": "0"
    }  # TF32 has 10 bits of mantissa instead of 23: scores would differ from the CPU's
}
_NEEDS: dict[Provider, str] = {
    "cpu": "a complete onnxruntime",
    "cuda": "an NVIDIA GPU, its driver, CUDA and cuDNN",
    "tensorrt": "an NVIDIA GPU, its driver, CUDA, cuDNN and TensorRT",
}
NamedProvider = tuple[str, dict[str, str]]


class _Session(Protocol):
    def get_providers(self) -> Sequence[str]: ...


Session = TypeVar("Session", bound=_Session)


def open_on_first(
    configured: Sequence[Provider],
    installed: Sequence[str],
    open_on: Callable[[Sequence[NamedProvider]], Session],
) -> Session:
    """Open a session on the first configured provider that works. Log which providers do not work.

    Args:
        configured: providers, in order of preference.
        installed: ONNX Runtime's names of the providers that the installed package has.
        open_on: opens a session on providers with their options.

    Raises:
        RuntimeFailure: none of the configured providers works here.
        Exception: ``open_on`` failed on the last provider.
    """
    usable = [name for name in configured if _NAMES[name] in installed]
    if not usable:
        raise RuntimeFailure(
            f"runtime.providers: not in the installed ONNX Runtime, got {', '.join(configured)}; uninstall onnxruntime "
            f"and install onnxruntime-gpu{_cpu_remedy(configured)}"
        )
    tried = list(usable)
    while True:
        try:
            session = open_on([(_NAMES[name], _OPTIONS.get(name, {})) for name in tried])
            break
        except Exception as error:  # onnxruntime's errors share no public base class
            if len(tried) == 1:
                raise
            _log.warning("runtime.providers: %s cannot start here: %s", tried.pop(0), error)
    active = session.get_providers()
    working = [name for name in configured if _NAMES[name] in active]
    if not working:
        raise RuntimeFailure(
            f"runtime.providers: cannot start here, got {', '.join(configured)}; use a machine with "
            f"{_NEEDS[usable[-1]]}{_cpu_remedy(configured)}"
        )
    if working[0] != configured[0]:
        _log.warning("runtime.providers: %s does not work here. Using %s", configured[0], working[0])
    return session


def _cpu_remedy(configured: Sequence[Provider]) -> str:
    return "" if "cpu" in configured else ", or add cpu to the end of the list"
