"""Compiling the event engine: numba, and a cache on disk that notices every edit."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call of a compiled caller; kept on disk with that caller alone."""
    return cast(Function, numba.njit(error_model="numpy")(function))


def entered(function: Function) -> Function:
    """Compile what Python calls, and keep it on disk.

    Numba asks only the file of the function itself whether it changed; what it closes over counts too, so an entry
    must close over ``sources()``.
    """
    return cast(Function, numba.njit(error_model="numpy", cache=True)(function))


@cache
def sources() -> int:
    """Give a number that is another after any edit of this package."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")
