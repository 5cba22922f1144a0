"""A small HTTP server for tests of the load generator. It reads requests and answers them by a callback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
Answer = Callable[[bytes], Awaitable[bytes | None]]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    """Listen on a free port. ``answer`` receives each request's body. If it returns None, the connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                answered = await answer(await reader.readexactly(length))
                if answered is None:
                    return
                writer.write(answered)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
