"""Read a request body, with limits on its size and on the time to receive it."""

import asyncio

from services.errors import BodyTooLarge, BodyTooSlow
from services.ingress.asgi import Receive, Scope, request_cycle

_BODY_LIMIT_S = 10.0  # a slow client must not hold one of the max_ongoing_requests slots for longer
_READ_PAST_BYTES = 16 * 1024 * 1024


class Disconnected(Exception):
    """The client disconnected before it got an answer."""


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: the body is larger than ``max_bytes``.
        BodyTooSlow: the body is not complete in time.
        Disconnected: the client left.
    """
    cycle = request_cycle(receive)
    # Nearly every body arrives together with its headers, and then needs no timer. A timer costs as much as parsing the
    # body.
    if cycle is not None and not cycle.more_body:
        return await _read(scope, receive, max_bytes)
    try:
        async with asyncio.timeout(_BODY_LIMIT_S):
            return await _read(scope, receive, max_bytes)
    except TimeoutError as error:
        raise BodyTooSlow(
            f"not complete within {_BODY_LIMIT_S:g} s; send it without pauses", field="body"
        ) from error


def check_size(body: bytes, max_bytes: int) -> None:
    """Check the size of a body that was read at once.

    Raises:
        BodyTooLarge: the body is larger than ``max_bytes``.
    """
    if len(body) > max_bytes:
        raise _too_large(max_bytes)


async def _read(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            if int(value) <= _READ_PAST_BYTES:
                await _read_past(receive)
            raise _too_large(max_bytes)
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"larger than {max_bytes} bytes; send a smaller body, or raise requests.max_body_bytes",
        field="body",
    )


async def _read_past(receive: Receive) -> None:
    """Read and drop a body that is moderately too large.

    If a proxy gets an answer early, it cuts off a client that is still sending.
    """
    while (message := await receive()).get("more_body", False):
        pass
    if message["type"] == "http.disconnect":
        raise Disconnected
