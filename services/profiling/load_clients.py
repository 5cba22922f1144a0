"""Clients that load a service. They barely parse an answer, because they share the service's cores."""

import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from services.config.pipeline import PipelineConfig
from services.errors import ServiceError
from services.profiling.sample_requests import SampleRequests

_BYTES_AT_ONCE = 65_536


class Client:
    """One connection with one request at a time. It is a context manager."""

    def __init__(self, config: PipelineConfig) -> None:
        """Connect to the service.

        Raises:
            OSError: nothing listens on the port.
        """
        self._connection = socket.create_connection(("127.0.0.1", config.http.port), timeout=30)

    def __enter__(self) -> "Client":
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, body: bytes) -> None:
        """Request a ranking, and read the answer.

        Raises:
            ServiceError: the connection was closed, or the status is not 200.
        """
        head = b"POST /v1/rank HTTP/1.1\r\nHost: local\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._connection.sendall(head + body)
        answer = b""
        while not _is_whole(answer):
            part = self._connection.recv(_BYTES_AT_ONCE)
            if not part:
                raise ServiceError(f"the service closed a connection under load, got {answer!r}")
            answer += part
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ServiceError(
                f"expected status 200 from the service under load, got {answer.decode(errors='replace')}"
            )


def keep_asking(config: PipelineConfig, number: int, until_s: float, sample: SampleRequests) -> list[float]:
    """Send the same request again after each answer, and return when each answer came.

    ``until_s`` and the result are ``time.perf_counter`` times.

    Raises:
        ServiceError: a connection was closed, or a status is not 200.
    """
    answered_s: list[float] = []
    try:
        with Client(config) as client:
            while not answered_s or answered_s[-1] < until_s:
                client.ask(sample.body(number))
                answered_s.append(time.perf_counter())
    except OSError as error:
        raise ServiceError(f"the service does not answer under load: {error}") from error
    return answered_s


def ask_on_schedule(
    config: PipelineConfig, due_s: Iterable[float], clients: int, sample: SampleRequests
) -> None:
    """Send one request at each time in ``due_s``, or as soon after it as a client is free.

    ``due_s`` has ``time.perf_counter`` times, ascending.

    Raises:
        ServiceError: as for ``keep_asking``.
    """
    remaining, lock = enumerate(due_s), Lock()
    with ThreadPoolExecutor(clients) as pool:
        for future in [pool.submit(_ask_next, config, remaining, lock, sample) for _ in range(clients)]:
            future.result()


def _ask_next(
    config: PipelineConfig, remaining: Iterator[tuple[int, float]], lock: Lock, sample: SampleRequests
) -> None:
    try:
        with Client(config) as client:
            while True:
                with lock:
                    number, due_s = next(remaining, (0, -1.0))
                if due_s < 0:
                    return
                time.sleep(max(0.0, due_s - time.perf_counter()))
                client.ask(sample.body(number))
    except OSError as error:
        raise ServiceError(f"the service does not answer under load: {error}") from error


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(separator) and len(body) >= int(length or 0)
