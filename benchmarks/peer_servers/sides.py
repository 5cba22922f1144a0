"""Starts a peer, and checks that it answers what Rankway answers."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.harness.connections import answer_size
from benchmarks.harness.environments import Unavailable
from benchmarks.harness.servers import Server, running
from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.peer import Peer
from benchmarks.peer_servers.work.answers import Answer
from benchmarks.peer_servers.work.workloads import LOADED
from services.deployment.ray_settings import free_ports, local_settings, runtime_directory

_ANSWER_LIMIT_S = 10.0


@contextmanager
def peer_server(peer: Peer, python: Path, options: PeerOptions, body: bytes) -> Iterator[Server]:
    """Run a peer. It is ready when all its processes have loaded the model and it answers ``body``.

    Raises:
        RuntimeError: it ended, or was not ready in time.
    """
    loads = options.settings.workers if peer.loads_reported is None else peer.loads_reported
    request = peer.encode(f"127.0.0.1:{options.port}", body)

    def is_ready(server: Server) -> bool:
        if server.log.read_text(errors="replace").count(LOADED) < loads:
            return False
        try:
            return ask(server.port, request).startswith(b"HTTP/1.1 200")
        except (OSError, ValueError):
            return False

    variables = {**options.environment(), **peer.variables, **_search_path(python)}
    if peer.environment == "ray-serve":  # two services on one machine must not use the same ports and files
        variables |= local_settings(free_ports(), runtime_directory())
    command = [str(python), "-m", f"benchmarks.peer_servers.{peer.module}"]
    with running(command, options.port, variables, is_ready) as server:
        yield server


def _search_path(python: Path) -> dict[str, str]:
    """Return the variables by which a server finds its own programs, and not those of this environment."""
    return {"PATH": f"{python.parent}:{os.environ.get('PATH', '')}", "PYTHONPATH": "", "VIRTUAL_ENV": ""}


def ask(port: int, request: bytes) -> bytes:
    """Send one request on a new connection, and return the whole answer.

    Raises:
        OSError: the server closed the connection or did not answer within 10 s.
        ValueError: the answer has neither a length nor a chunked encoding.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_LIMIT_S) as connection:
        connection.sendall(request)
        data = b""
        while (size := answer_size(data)) is None or len(data) < size:
            received = connection.recv(65_536)
            if not received:
                raise ConnectionError("the server closed the connection")
            data += received
    return data


def checked_answer_bytes(peer: Peer, port: int, bodies: Sequence[bytes], k: int) -> int:
    """Return the mean size of the answers' bodies, after a check that each has k different scores, best first.

    Raises:
        Unavailable: an answer has other content.
    """
    sizes = []
    for body in bodies:
        try:
            data = ask(port, peer.encode(f"127.0.0.1:{port}", body)).partition(b"\r\n\r\n")[2]
            answer = msgspec.json.decode(peer.document_of(data) if peer.document_of else data, type=Answer)
        except (OSError, ValueError) as error:  # msgspec's errors are a kind of ValueError
            raise Unavailable(f"its answer to {body!r} cannot be read: {error}") from error
        if len(answer.items) != k:
            raise Unavailable(f"its answer has {len(answer.items)} items, expected {k}")
        sizes.append(len(data))
    return round(sum(sizes) / len(sizes))
