"""ASGI's types, and what its server lets an application know."""

from asyncio import WriteTransport
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def cycle_of(channel: Receive | Send) -> Any:
    """Give uvicorn's request cycle, which says for nothing what else takes a task; None behind other servers."""
    cycle: Any = getattr(channel, "__self__", None)
    return cycle if hasattr(cycle, "disconnected") and hasattr(cycle, "more_body") else None


async def send_whole(send: Send, start: Message, body: Message) -> None:
    """Send an answer's head and body, to the client in one write where the server is uvicorn.

    Of an answer in two writes a replica that is killed between them leaves the head: too much for a proxy
    to ask another replica, too little for the client.
    """
    cycle = cycle_of(send)
    if cycle is None:
        await send(start)
        await send(body)
        return
    transport = cycle.transport
    held = cycle.transport = _HeldWrites(transport)
    try:
        await send(start)
        await send(body)
    finally:
        held.flush()
        cycle.transport = transport


class _HeldWrites:
    """What a request cycle needs of its transport; writes wait for ``flush``."""

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
