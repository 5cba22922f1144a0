"""Work in steps: a generator that yields after each step, so that the caller decides what happens in between."""

import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""Yields after each step, and returns the result. ``yield from`` joins steps to larger ones."""


def complete(steps: Steps[Result], between: Callable[[], None] | None = None) -> Result:
    """Do all steps and return their result; call ``between`` after each of them.

    After an error nothing that the steps had opened is kept: the traceback keeps the lines, not the local variables.
    """
    results: list[Result] = []

    def running() -> Steps[None]:
        results.append((yield from steps))

    try:
        with closing(running()) as loading:
            for _ in loading:
                if between is not None:
                    between()
    except BaseException as error:
        _drop_locals(error)
        raise
    return results[0]


def _drop_locals(error: BaseException) -> None:
    """Clear the local variables of the frames that an error and its causes passed through.

    The variables of enclosing functions stay: steps bind arguments with ``partial``, not in closures.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
