"""A service asked for all it can do: for how long a request keeps a replica busy when all of them always are."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from services.config import PipelineConfig
from services.errors import ServiceError

_MOST_CLIENTS = 128
_WARM = 0.25
_DEADLINE_MS = 10_000
_BYTES_AT_ONCE = 65_536


def busy_ms(config: PipelineConfig, seconds: float) -> float:
    """Keep the batches of all of a pipeline's one unit full for so long, on this machine.

    Clients are threads that look at next to nothing of an answer: they share the cores with what is measured.

    Raises:
        ServiceError: an answer is none, or no 200.
    """
    unit = config.units[config.ingress_unit]
    full = max(1, unit.batching.max_candidates // config.candidates.count)
    clients = min(_MOST_CLIENTS, 3 * full * unit.replicas)  # one batch runs, two wait
    from_s = time.perf_counter() + _WARM * seconds
    with ThreadPoolExecutor(clients) as pool:
        counts = pool.map(lambda place: keep_asking(config, place, from_s, seconds), range(clients))
        return unit.replicas * seconds * 1e3 / max(1, sum(counts))


def keep_asking(config: PipelineConfig, user: int, from_s: float, seconds: float) -> int:
    """Ask again whenever there is an answer; count those that come within ``seconds`` from ``from_s`` on.

    from_s: on ``time.perf_counter``.

    Raises:
        ServiceError: as ``busy_ms``.
    """
    body = json.dumps({"user_id": f"u-{user:06d}", "k": 10, "deadline_ms": _DEADLINE_MS}).encode()
    request = b"POST /v1/rank HTTP/1.1\r\nHost: local\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    counted = 0
    try:
        with socket.create_connection(("127.0.0.1", config.http.port), timeout=30) as connection:
            now_s = time.perf_counter()
            while now_s < from_s + seconds:
                connection.sendall(request)
                _read_answer(connection)
                now_s = time.perf_counter()
                counted += from_s <= now_s < from_s + seconds
    except OSError as error:
        raise ServiceError(f"the service does not answer under load: {error}") from error
    return counted


def _read_answer(connection: socket.socket) -> None:
    answer = b""
    while not _is_whole(answer):
        part = connection.recv(_BYTES_AT_ONCE)
        if not part:
            raise ServiceError(f"the service closed a connection under load, after {answer!r}")
        answer += part
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ServiceError(f"the service answers under load: {answer.decode(errors='replace')}")


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(found) and len(body) >= int(length or 0)
