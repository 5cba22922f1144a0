"""The closed loop: each client sends its next request when its last request is answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle

from benchmarks.harness.connections import Connection, connect
from benchmarks.harness.results import Answered, LoadResult, good_count, percentiles_ms


class ClosedLoop:
    """Clients that each send their next request when the last request is answered.

    Attributes:
        answers: the window's answers, head and body.
        answered: the number of all answers, including the warm-up's.
    """

    def __init__(
        self,
        requests: Sequence[bytes],
        *,
        clients: int,
        duration_s: float,
        warm_s: float = 0.5,
        pause_s: float = 0.0,
    ) -> None:
        """Cycle through ``requests``.

        Args:
            requests: the encoded requests.
            clients: client count.
            duration_s: the window's length.
            warm_s: time before the window. Answers in it are not counted.
            pause_s: a client's pause between an answer and its next request.
        """
        self._requests = cycle(requests)
        self._clients, self._duration_s, self._warm_s = clients, duration_s, warm_s
        self._pause_s = pause_s
        self._latencies_s: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._errors = 0
        self._counting = False
        self._stopping = False
        self.answers: list[Answered] = []
        self.answered = 0

    async def run(self, host: str, port: int) -> LoadResult:
        """Load the server at host:port, and return the figures."""
        connections = await connect(host, port, self._clients, self._answered, self._lost)
        for connection in connections:
            connection.send(next(self._requests), time.perf_counter())
        await asyncio.sleep(self._warm_s)
        self._counting, cpu_s, started_s = True, time.process_time(), time.perf_counter()
        await asyncio.sleep(self._duration_s)
        window_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        self._counting, self._stopping = False, True
        for connection in connections:
            connection.close()
        p50, p99, p999 = percentiles_ms(self._latencies_s)
        count = len(self._latencies_s)
        return LoadResult(
            client="benchmarks.harness.load",
            loop="closed",
            clients=self._clients,
            offered_rps=None,
            window_s=window_s,
            requests=count,
            rps=good_count(self._statuses) / window_s,
            p50_ms=p50,
            p99_ms=p99,
            p999_ms=p999,
            statuses={str(status): n for status, n in sorted(self._statuses.items())},
            errors=self._errors,
            client_core_ms=cpu_s * 1e3 / max(1, count),
        )

    def _answered(self, connection: Connection, status: int) -> None:
        now_s = time.perf_counter()
        self.answered += 1
        if self._counting:
            self._latencies_s.append(now_s - connection.started_s)
            self._statuses[status] += 1
            self.answers.append(Answered(connection.started_s, now_s, connection.answer))
        if self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._send_next, connection)
        elif not self._stopping:
            connection.send(next(self._requests), now_s)

    def _send_next(self, connection: Connection) -> None:
        if not self._stopping and not connection.closed:
            connection.send(next(self._requests), time.perf_counter())

    def _lost(self, connection: Connection, busy: bool) -> None:
        # A client that lost its connection stops. Reconnecting would hide the loss and could cause a storm.
        if not self._stopping:
            self._errors += 1
