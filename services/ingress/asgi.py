"""ASGI types, and two shortcuts that uvicorn allows.

uvicorn creates one object per HTTP request, its request cycle. It passes two methods of the cycle to the application,
as ``receive`` and ``send``. The cycle can therefore be found from either method, and the connection's transport from
the cycle. Behind another server there is no cycle, and plain ASGI is used.
"""

from asyncio import WriteTransport
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""

FAST_PATH = "rankway.fast_path"
"""A key of the ASGI scope. Its value tells whether ranking requests on this connection take the fast path."""


class Response(NamedTuple):
    """A complete answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Exchange(Protocol):
    """A request that is answered without ASGI."""

    def is_abandoned(self) -> bool:
        """Return whether the client has left."""
        ...

    def finish(self, response: Response | None) -> None:
        """Send the answer. None: the client has left."""
        ...


def request_cycle(channel: Receive | Send) -> Any:
    """Return uvicorn's request cycle behind ``receive`` or ``send``. Behind another server, return None.

    The cycle's attribute ``disconnected`` tells whether the client has left, and ``more_body`` whether more body is
    due. With ASGI alone, only a task that waits in ``receive`` can detect that the client has left.
    """
    cycle: Any = getattr(channel, "__self__", None)
    return cycle if hasattr(cycle, "disconnected") and hasattr(cycle, "more_body") else None


async def send_at_once(send: Send, start: Message, body: Message) -> None:
    """Send an answer's head and body. Behind uvicorn both leave in one write to the socket.

    uvicorn writes each message as soon as it is sent. If a replica is killed between two writes, it has sent only the
    head. A proxy then can no longer ask another replica, and the client gets no answer. Therefore uvicorn's
    request cycle temporarily gets a transport that collects the writes until both messages are sent.
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
    """The transport methods that a request cycle calls. ``flush`` passes on all collected writes as one."""

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
