"""Hides the warnings of PyTorch about its own code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_torchscript_warnings() -> Iterator[None]:
    """Hide the warnings that TorchScript is deprecated. Other warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", DeprecationWarning
        )
        yield


@contextmanager
def without_own_warnings() -> Iterator[None]:
    """Hide warnings that the compiler of PyTorch 2.13 raises because of its own code. Other warnings pass."""
    with without_torchscript_warnings():  # Inductor imports torch.utils.mkldnn, which uses TorchScript
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield
