"""The open loop: Poisson arrivals, at times that do not depend on the server.

A connection that the server closes is opened again, as real clients do. If it had a request in flight, that request
counts as an error. Latency counts from the SCHEDULED time, so that a stalled server cannot hide the requests it delayed
(Tene, "How NOT to Measure Latency": coordinated omission).
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from benchmarks.harness.connections import Connection, connect
from benchmarks.harness.meters.timer import FineTimer
from benchmarks.harness.results import Answered, LoadResult, good_count, percentiles_ms

_MAX_REQUESTS = 2_000_000
_RECONNECT_PERIOD_S = 0.02
_PRIME_LIMIT_S = 20.0


class OpenLoop:
    """Poisson arrivals at ``rate`` per second over at most ``connections`` connections."""

    def __init__(
        self,
        requests: Sequence[bytes],
        rate: float,
        duration_s: float,
        *,
        connections: int = 256,
        grace_s: float = 2.0,
        seed: int = 0,
        times_s: Sequence[float] | None = None,
        prime: bytes | None = None,
    ) -> None:
        """Draw the arrivals, at most two million.

        Args:
            requests: the encoded requests, used in a cycle.
            rate: mean arrivals per second.
            duration_s: the window's length.
            connections: connection count.
            grace_s: time to wait for the last answers after the window.
            seed: random seed for the arrivals.
            times_s: arrivals as sorted seconds from the start, instead of drawn arrivals. ``rate`` is then their mean.
            prime: a request that each connection sends before the load. A service soon closes connections that never
                sent anything, and opening them again would disturb the load.

        Raises:
            ValueError: there would be more than two million requests.
        """
        expected = int(rate * duration_s * 1.2) + 100
        if expected > _MAX_REQUESTS:
            raise ValueError(
                f"requests: at most {_MAX_REQUESTS} can be planned, got {expected}; lower the rate or the duration"
            )
        drawn_s = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, expected))
        due_s = drawn_s if times_s is None else np.asarray(times_s)
        self._due_s: list[float] = due_s[due_s < duration_s].tolist()
        self._requests = cycle(requests)
        self._rate, self._duration_s, self._count = rate, duration_s, connections
        self._grace_s, self._prime = grace_s, prime
        self._unprimed = 0
        self._primed = asyncio.Event()
        self._free: list[Connection] = []
        self._waiting_s: deque[float] = deque()
        self._next = 0
        self._in_flight = 0
        self._errors = 0
        self._connections: list[Connection] = []
        self._reopening: set[asyncio.Task[None]] = set()
        self._closing = False
        self._latencies_s: list[float] = []
        self._lags_s: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._timer = FineTimer()
        self._finished = asyncio.Event()
        self.answers: list[Answered] = []
        self.answered = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._address = ("", 0)
        self.started_s = 0.0

    def stop(self) -> None:
        """Send no further requests. It may be called from another thread once the loop runs."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        del self._due_s[self._next :]
        self._duration_s = time.perf_counter() - self.started_s
        self._check_finished()

    async def run(self, host: str, port: int) -> LoadResult:
        """Load the server at host:port, and return the figures."""
        loop = self._loop = asyncio.get_running_loop()
        self._address = host, port
        self._connections = list(await connect(host, port, self._count, self._answered, self._lost))
        if self._prime is not None:
            self._unprimed = len(self._connections)
            for connection in self._connections:
                connection.send(self._prime, time.perf_counter())
            await asyncio.wait_for(self._primed.wait(), _PRIME_LIMIT_S)
        self._free = list(self._connections)
        started_s, cpu_s = time.perf_counter(), time.process_time()
        self.started_s = started_s
        self._due_s = [started_s + due_s for due_s in self._due_s]
        loop.add_reader(self._timer.fd, self._send_due)
        self._send_due()
        try:
            await asyncio.wait_for(self._finished.wait(), self._duration_s + self._grace_s)
        except TimeoutError:
            pass  # the requests without an answer count as missed
        finally:
            loop.remove_reader(self._timer.fd)
            self._timer.close()
            self._closing = True
            for task in self._reopening:
                task.cancel()
        cpu_s = time.process_time() - cpu_s
        window_s = max(self._duration_s, time.perf_counter() - started_s)
        missed_s = self._missed(time.perf_counter())
        # The time that a missed request waited counts too. It is a lower bound for the request's latency.
        p50, p99, p999 = percentiles_ms(self._latencies_s + missed_s)
        count = len(self._latencies_s)
        for connection in self._connections:
            connection.close()
        return LoadResult(
            client="benchmarks.harness.load",
            loop="open",
            clients=self._count,
            offered_rps=self._rate,
            window_s=window_s,
            requests=count,
            rps=good_count(self._statuses) / window_s,
            p50_ms=p50,
            p99_ms=p99,
            p999_ms=p999,
            statuses={str(status): n for status, n in sorted(self._statuses.items())},
            errors=self._errors,
            missed=len(missed_s),
            send_lag_p99_ms=percentiles_ms(self._lags_s)[1],
            client_core_ms=cpu_s * 1e3 / max(1, count),
        )

    def _missed(self, now_s: float) -> list[float]:
        unanswered = [connection.started_s for connection in self._connections if connection.busy]
        return [now_s - due_s for due_s in (*unanswered, *self._waiting_s, *self._due_s[self._next :])]

    def _send_due(self) -> None:
        self._timer.clear()
        now_s = time.perf_counter()
        due_s, index = self._due_s, self._next
        while index < len(due_s) and due_s[index] <= now_s:
            if self._free:
                self._send(self._free.pop(), due_s[index], now_s)
            else:
                self._waiting_s.append(due_s[index])
            index += 1
        self._next = index
        if index < len(due_s):
            self._timer.set(due_s[index])
        self._check_finished()

    def _send(self, connection: Connection, due_s: float, now_s: float) -> None:
        self._in_flight += 1
        self._lags_s.append(now_s - due_s)
        connection.send(next(self._requests), due_s)

    def _answered(self, connection: Connection, status: int) -> None:
        if self._closing:
            return
        if self._unprimed:
            self._unprimed -= 1
            if not self._unprimed:
                self._primed.set()
            return
        now_s = time.perf_counter()
        self.answered += 1
        self._in_flight -= 1
        self._latencies_s.append(now_s - connection.started_s)
        self._statuses[status] += 1
        self.answers.append(Answered(connection.started_s, now_s, connection.answer))
        if connection.is_last:
            self._connections.remove(connection)
            connection.close()
            self._replace()
        elif self._waiting_s:
            self._send(connection, self._waiting_s.popleft(), now_s)
        else:
            self._free.append(connection)
        self._check_finished()

    def _lost(self, connection: Connection, busy: bool) -> None:
        if self._closing or connection not in self._connections:
            return
        self._connections.remove(connection)
        if busy:
            connection.busy = False
            self._in_flight -= 1
            self._errors += 1
        else:
            self._free.remove(connection)
        self._check_finished()
        self._replace()

    def _replace(self) -> None:
        if not self._finished.is_set():
            task = asyncio.get_running_loop().create_task(self._reopen())
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)

    async def _reopen(self) -> None:
        connection = None
        while connection is None or connection.closed:
            try:
                [connection] = await connect(*self._address, 1, self._answered, self._lost)
            except OSError:  # the server does not listen at the moment
                await asyncio.sleep(_RECONNECT_PERIOD_S)
        self._connections.append(connection)
        if self._waiting_s:
            self._send(connection, self._waiting_s.popleft(), time.perf_counter())
        else:
            self._free.append(connection)

    def _check_finished(self) -> None:
        if self._next == len(self._due_s) and not self._waiting_s and not self._in_flight:
            self._finished.set()
