"""Hides the warnings of PyTorch's compiler about its own code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_own_warnings() -> Iterator[None]:
    """Hide warnings that PyTorch 2.13 raises because of its own code. Other warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        # Inductor imports torch.utils.mkldnn, which uses TorchScript.
        warnings.filterwarnings(
            "ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", DeprecationWarning
        )
        yield
