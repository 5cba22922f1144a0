"""Work in steps: a generator that yields after each step, so that the caller can do something in between."""

import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""A generator that yields after each step, and returns the result. ``yield from`` combines generators."""


def complete(steps: Steps[Result], between: Callable[[], None] | None = None) -> Result:
    """Do all steps, call ``between`` after each step, and return the result.

    After an error, everything that the steps have opened can be freed: the traceback has the code lines, but no local
    variables.

    Args:
        steps: the work.
        between: called after each step. An error that it raises ends the work.
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
    """Clear the local variables in the tracebacks of an error and its causes.

    The variables of enclosing functions are not cleared. Steps must therefore bind arguments with ``partial``, not in
    closures.
    """
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
