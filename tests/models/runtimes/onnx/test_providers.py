"""Execution providers: the first one that works is used, and the errors name what is missing.

No GPU is needed: the installed providers, and those that start, are arguments.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.errors import RuntimeFailure
from models.runtimes.kinds.onnx import OnnxConfig, Provider
from models.runtimes.onnx import OnnxRuntime
from models.runtimes.onnx.providers import NamedProvider, open_on_first
from tests.models.runtimes.onnx.graphs import SIGNATURE, write_graph

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
ALL = [TENSORRT, CUDA, CPU]


@dataclass(frozen=True)
class Opened:
    """A session whose providers are given."""

    providers: Sequence[str]
    options: dict[str, dict[str, str]]

    def get_providers(self) -> Sequence[str]:
        return self.providers


def opened(
    *configured: Provider, installed: Sequence[str] = ALL, starting: Sequence[str] = ALL, fails: bool = False
) -> Opened:
    """Open a session as ONNX Runtime does: leave out the providers that do not start, or fail because of them."""

    def open_on(providers: Sequence[NamedProvider]) -> Opened:
        names = [name for name, _ in providers]
        if fails and not set(names) <= set(starting):
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return Opened([n for n in dict.fromkeys([*names, CPU]) if n in [*starting, CPU]], dict(providers))

    return open_on_first(configured, installed, open_on)


def test_keeps_the_order_of_preference() -> None:
    assert opened("tensorrt", "cuda", "cpu").providers == ALL


def test_cuda_computes_in_full_32_bits() -> None:
    assert opened("cuda").options == {CUDA: {"use_tf32": "0"}}


@pytest.mark.parametrize("fails", [False, True])
def test_provider_that_cannot_start_falls_back_to_the_next(
    caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        session = opened("tensorrt", "cuda", "cpu", starting=[CUDA, CPU], fails=fails)
    assert session.providers == [CUDA, CPU]
    assert "tensorrt does not work here. Using cuda" in caplog.text


@pytest.mark.parametrize("fails", [False, True])
def test_model_runs_on_the_cpu_if_no_gpu_starts(caplog: pytest.LogCaptureFixture, fails: bool) -> None:
    with caplog.at_level(logging.WARNING):
        session = opened("tensorrt", "cuda", "cpu", starting=[CPU], fails=fails)
    assert session.providers == [CPU]
    assert "tensorrt does not work here. Using cpu" in caplog.text


def test_provider_that_is_not_installed_falls_back_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert opened("tensorrt", "cuda", installed=[CUDA, CPU]).providers == [CUDA, CPU]
    assert "tensorrt does not work here. Using cuda" in caplog.text


def test_rejects_a_gpu_that_cannot_start() -> None:
    with pytest.raises(
        RuntimeFailure,
        match="cannot start here, got cuda; use a machine with an NVIDIA GPU, its driver, CUDA and cuDNN, or add cpu",
    ):
        opened("cuda", starting=[CPU])


def test_rejects_providers_that_the_installed_package_lacks(tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx")
    with pytest.raises(
        RuntimeFailure,
        match=r"runtime\.providers: not in the installed ONNX Runtime, got tensorrt, cuda; uninstall onnxruntime and "
        r"install onnxruntime-gpu, or add cpu to the end of the list",
    ):
        OnnxRuntime(tmp_path / "model.onnx", SIGNATURE, OnnxConfig(providers=("tensorrt", "cuda")))


def test_real_model_runs_on_the_cpu_without_a_gpu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_graph(tmp_path / "model.onnx")
    with caplog.at_level(logging.WARNING):
        OnnxRuntime(tmp_path / "model.onnx", SIGNATURE, OnnxConfig(providers=("cuda", "cpu")))
    assert "Using cpu" in caplog.text
