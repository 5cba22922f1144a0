"""Answers the body of ``POST /v1/rank``.

There are two ways. ``RankHandler.answer`` is a coroutine for ASGI. ``RankHandler.begin`` returns at once, and a
function gets the reply later. The second way needs no task and no chain of coroutines for each request. All requests of
a batch are answered in one turn of the event loop, with the code still in the CPU's caches.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec

from services.errors import Overloaded
from services.ingress.body import Disconnected, check_size
from services.ingress.engine import Admitted, Engine
from services.ingress.misses import Misses
from services.ingress.routes import Reply
from services.ingress.schema import RankRequest, RankResponse, parse_rank_request, read_urgency
from services.scheduling.job import Answer

JSON = b"application/json"
Outcome = Reply | BaseException
Done = Callable[[Outcome], None]
"""Takes the reply or the error of one request. It must not raise."""


class RankHandler:
    """Answers the bodies of ranking requests."""

    def __init__(self, engine: Engine) -> None:
        """Answer requests with ``engine``."""
        self._engine = engine
        self._misses = Misses(engine.config, engine.metrics)
        self._encode = msgspec.json.Encoder().encode
        self._max_body_bytes = engine.config.requests.max_body_bytes
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(
        self, body: bytes, request_id: str, is_abandoned: Callable[[], bool] | None = None
    ) -> Reply:
        """Return the reply to a body, whose size is within the limit.

        Raises:
            ServiceError: the request cannot be answered.
            Disconnected: the client has left.
        """
        started_s = time.perf_counter()
        request = self._read(body)
        try:
            response = await self._engine.rank(request, request_id, is_abandoned=is_abandoned)
        except Overloaded as error:
            refused = self._refused(request, error, is_abandoned)
            if refused is error:
                raise
            raise refused from error
        return self._reply(request, response, started_s)

    def begin(self, body: bytes, request_id: str, is_abandoned: Callable[[], bool], done: Done) -> None:
        """Begin to answer a body. ``done`` gets the outcome, now or later.

        Raises:
            ServiceError: the body is refused, and ``done`` is not called.
        """
        check_size(body, self._max_body_bytes)
        if self._engine.has_cache:  # the answer to an identical request may be awaited
            task = asyncio.get_running_loop().create_task(
                self._answer_to(done, body, request_id, is_abandoned)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        started_s = time.perf_counter()
        request = self._read(body)
        admitted = self._engine.admit(request, request_id, is_abandoned)
        call = RankCall(self, admitted, is_abandoned, started_s, done)
        try:
            self._engine.begin(admitted, call)
        except Exception as error:
            call.failed(error)

    def reply(self, admitted: Admitted, answer: Answer, started_s: float) -> Reply:
        """Return the reply that contains an answer."""
        return self._reply(admitted.request, self._engine.respond(admitted, answer), started_s)

    def failure(
        self, admitted: Admitted, error: BaseException, is_abandoned: Callable[[], bool]
    ) -> BaseException:
        """Return the error for a request that was admitted and gets no answer."""
        self._engine.leave(admitted)
        return self._refused(admitted.request, error, is_abandoned)

    def _read(self, body: bytes) -> RankRequest:
        try:
            self._engine.shed(body)
        except Overloaded:
            urgency = read_urgency(body)
            self._misses.refused(urgency.deadline_ms if urgency is not None else None)
            raise
        return parse_rank_request(body)

    def _reply(self, request: RankRequest, response: RankResponse, started_s: float) -> Reply:
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._misses.answered(elapsed_ms, response.degraded, request.deadline_ms)
        return 200, JSON, self._encode(response), response.degraded

    def _refused(
        self, request: RankRequest, error: BaseException, is_abandoned: Callable[[], bool] | None
    ) -> BaseException:
        if isinstance(error, Overloaded):
            if is_abandoned is not None and is_abandoned():
                return Disconnected()
            self._misses.refused(request.deadline_ms)
        return error

    async def _answer_to(
        self, done: Done, body: bytes, request_id: str, is_abandoned: Callable[[], bool]
    ) -> None:
        outcome: Outcome
        try:
            outcome = await self.answer(body, request_id, is_abandoned)
        except BaseException as error:
            outcome = error
        done(outcome)


class RankCall:
    """One request in a batch or in the queue, as the runner's waiter."""

    __slots__ = ("_admitted", "_done", "_handler", "_is_abandoned", "_started_s")

    def __init__(
        self,
        handler: RankHandler,
        admitted: Admitted,
        is_abandoned: Callable[[], bool],
        started_s: float,
        done: Done,
    ) -> None:
        """Pass the outcome of ``admitted`` to ``done``."""
        self._handler, self._admitted, self._is_abandoned = handler, admitted, is_abandoned
        self._started_s, self._done = started_s, done

    def answered(self, answer: Answer) -> None:
        """Take the answer."""
        outcome: Outcome
        try:
            outcome = self._handler.reply(self._admitted, answer, self._started_s)
        except Exception as error:
            outcome = error
        self._done(outcome)

    def failed(self, error: BaseException) -> None:
        """Take the error."""
        self._done(self._handler.failure(self._admitted, error, self._is_abandoned))
