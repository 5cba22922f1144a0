"""Execution providers: which of the configured ones to use, and the error if none of them works here.

ONNX Runtime itself leaves out a provider that cannot start, and runs the model on the CPU. That hides a missing driver.
So the providers of an open session are compared with the configured ones.
"""

import logging
from collections.abc import Sequence

from models.errors import RuntimeFailure
from models.runtimes.kinds.onnx import Provider

_log = logging.getLogger(__name__)
_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_OPTIONS: dict[Provider, dict[str, str]] = {
    "cuda": {"use_tf32": "0"}  # 10 bits of mantissa instead of 23: scores would differ from the CPU's
}
_NEEDS: dict[Provider, str] = {
    "cuda": "an NVIDIA GPU with its driver, CUDA and cuDNN",
    "tensorrt": "an NVIDIA GPU with its driver, CUDA, cuDNN and TensorRT",
}


def available(configured: Sequence[Provider], here: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the configured providers that the installed ONNX Runtime has, with their options.

    Args:
        configured: providers, in order of preference.
        here: ONNX Runtime's names of the providers that it has.

    Raises:
        RuntimeFailure: ONNX Runtime has none of them.
    """
    missing = [provider for provider in configured if _NAMES[provider] not in here]
    _expect_one(
        configured,
        missing,
        "not in the installed ONNX Runtime",
        "uninstall onnxruntime and install onnxruntime-gpu",
    )
    return [(_NAMES[name], _OPTIONS.get(name, {})) for name in configured if name not in missing]


def refuse_inactive(configured: Sequence[Provider], active: Sequence[str]) -> None:
    """Compare the configured providers with the providers of an open session.

    Args:
        configured: providers, in order of preference.
        active: ONNX Runtime's names of the session's providers.

    Raises:
        RuntimeFailure: the session uses none of the configured providers.
    """
    failed = [provider for provider in configured if _NAMES[provider] not in active]
    needed = [_NEEDS[provider] for provider in failed if provider in _NEEDS]
    _expect_one(
        configured, failed, "cannot start here", f"install {needed[-1]}" if needed else "install onnxruntime"
    )


def _expect_one(
    configured: Sequence[Provider], failed: Sequence[Provider], problem: str, remedy: str
) -> None:
    if not failed:
        return
    listed = ", ".join(failed)
    if len(failed) == len(configured):
        cpu = "" if "cpu" in configured else ", or add cpu to the end of the list"
        raise RuntimeFailure(f"runtime.providers: {problem}, got {listed}; {remedy}{cpu}")
    working = next(provider for provider in configured if provider not in failed)
    _log.warning(
        "runtime.providers: %s: %s. The model runs on %s. To change this, %s",
        listed,
        problem,
        working,
        remedy,
    )
