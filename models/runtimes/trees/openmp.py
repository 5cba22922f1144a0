"""OpenMP threads that sleep while they wait for work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_POLICY = "OMP_WAIT_POLICY"


@contextmanager
def sleeping_threads() -> Iterator[None]:
    """Load a library inside this context, so that its idle OpenMP threads sleep instead of waiting actively.

    OpenMP reads the environment variable when the library is loaded, so it has no effect on a library that is loaded
    already. Measured with two processes of two threads each on two cores, 200 rows: a call costs 2.0 instead of 5.8 to
    9.8 ms of CPU with LightGBM, and 1.8 instead of 5.5 to 17 ms with XGBoost. A value that the user has set is kept.
    """
    if _POLICY in os.environ:
        yield
        return
    os.environ[_POLICY] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ[_POLICY]
