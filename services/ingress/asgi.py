"""ASGI's types, and two shortcuts past them that uvicorn allows.

uvicorn makes one object for each HTTP request, its request cycle, and passes two of its methods to the application as
``receive`` and ``send``. So a bound method leads to the cycle, and the cycle to the connection's transport. Behind
another server there is no cycle, and both shortcuts take the way that ASGI prescribes.
"""

from asyncio import WriteTransport
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FAST_PATH = "rankway.fast_path"
"""The key of a scope that says whether the request came by the fast path."""


def request_cycle(channel: Receive | Send) -> Any:
    """Return uvicorn's request cycle behind ``receive`` or ``send``; None behind another server.

    Its ``disconnected`` says whether the client has left, and ``more_body`` whether a part of the body is still due.
    By ASGI alone, an application learns of a client that leaves only from a task that waits in ``receive``.
    """
    cycle: Any = getattr(channel, "__self__", None)
    return cycle if hasattr(cycle, "disconnected") and hasattr(cycle, "more_body") else None


async def send_at_once(send: Send, start: Message, body: Message) -> None:
    """Send the head and the body of an answer; behind uvicorn both leave in one write to the socket.

    uvicorn writes each message when it is sent. A replica that is killed between two writes has sent the head alone.
    A proxy then cannot ask another replica any more, and the client has no answer. So the cycle gets a transport that
    collects the writes while both messages are sent.
    """
    cycle = request_cycle(send)
    if cycle is None:
        await send(start)
        await send(body)
        return
    transport = cycle.transport
    collected = cycle.transport = _CollectedWrites(transport)
    try:
        await send(start)
        await send(body)
    finally:
        collected.flush()
        cycle.transport = transport


class _CollectedWrites:
    """The methods of a transport that a request cycle calls; ``flush`` passes on all writes as one."""

    def __init__(self, transport: WriteTransport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def close(self) -> None:
        self.flush()
        self._transport.close()
