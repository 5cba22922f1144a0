"""CUDA streams of model threads."""

import subprocess
import sys
import threading

import pytest


def test_without_pytorch_nothing_is_imported() -> None:
    code = (
        "import sys; from models.runtimes.pytorch.cuda_streams import use_own_stream; use_own_stream(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_gpu_the_thread_stays_as_it_is() -> None:
    import torch

    from models.runtimes.pytorch.cuda_streams import use_own_stream

    if not torch.cuda.is_available():
        use_own_stream()
        assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def test_each_thread_has_its_own_stream() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    from models.runtimes.pytorch.cuda_streams import use_own_stream

    torch.cuda.init()
    streams = []

    def work() -> None:
        use_own_stream()
        streams.append(torch.cuda.current_stream().cuda_stream)

    for thread in [threading.Thread(target=work) for _ in range(2)]:
        thread.start()
        thread.join()
    assert len({*streams, torch.cuda.default_stream().cuda_stream}) == 3
