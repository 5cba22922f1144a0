"""CUDA streams: with several model threads, each one has its own, so that its kernels do not wait for the others'."""

import sys


def use_own_stream() -> None:
    """Let this thread's PyTorch models run on a CUDA stream of their own.

    Without a PyTorch model on a GPU, do nothing. This function never imports PyTorch. It was not run on a GPU.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    torch.cuda.synchronize()  # the weights were copied on the default stream
    torch.cuda.set_stream(torch.cuda.Stream())
