"""Waiters: the callers of a runner that wait for answers."""

import asyncio
from typing import Protocol

from services.scheduling.job import Answer


class Waiter(Protocol):
    """Waits for the answer to one work. One method is called, once, on the event loop. It must not raise.

    No method is called if the work was withdrawn, because its caller was cancelled.
    """

    def answered(self, answer: Answer) -> None:
        """Take the answer."""
        ...

    def failed(self, error: BaseException) -> None:
        """Take the error."""
        ...


class FutureWaiter:
    """Passes the answer to a future, for callers that await it."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Create the future."""
        self.future: asyncio.Future[Answer] = loop.create_future()

    def answered(self, answer: Answer) -> None:
        """Set the future's result, unless the caller has cancelled it."""
        if not self.future.done():
            self.future.set_result(answer)

    def failed(self, error: BaseException) -> None:
        """Set the future's exception, unless the caller has cancelled it."""
        if not self.future.done():
            self.future.set_exception(error)
