"""Hides the warnings of PyTorch's compiler about its own code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_own_warnings() -> Iterator[None]:
    """Hide a warning that PyTorch 2.13 raises about a class that it uses itself. Other warnings pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield
