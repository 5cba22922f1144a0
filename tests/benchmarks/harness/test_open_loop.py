import asyncio

import pytest

from benchmarks.harness.connections import http_request
from benchmarks.harness.open_loop import OpenLoop
from benchmarks.harness.results import LoadResult
from tests.benchmarks.servers import OK, Answer, listening

REQUEST = [http_request("h", "/", b"x")]


def load(answer: Answer, **options: float) -> tuple[LoadResult, OpenLoop]:
    async def run() -> tuple[LoadResult, OpenLoop]:
        connections = int(options.get("connections", 64))
        grace_s = options.get("grace_s", 2.0)
        loop = OpenLoop(REQUEST, options["rate"], 0.3, connections=connections, grace_s=grace_s)
        async with listening(answer) as port:
            return await loop.run("127.0.0.1", port), loop

    return asyncio.run(run())


async def answer_at_once(body: bytes) -> bytes:
    return OK


def test_every_arrival_is_sent_and_answered() -> None:
    result, loop = load(answer_at_once, rate=500)
    assert result.requests == result.statuses["200"] == loop.answered > 50
    assert (result.missed, result.errors) == (0, 0)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    counts = {load(answer_at_once, rate=400)[0].requests for _ in range(2)}
    assert len(counts) == 1


def test_latency_of_a_stalled_server_counts_from_the_scheduled_time() -> None:
    """Use one connection, and hold the first answer until long after the last arrival was due."""
    held = True

    async def stall_once(body: bytes) -> bytes:
        nonlocal held
        if held:
            held = False
            await asyncio.sleep(0.6)
        return OK

    result, loop = load(stall_once, rate=300, connections=1)
    assert result.missed == 0
    assert result.requests == len(loop.answers) > 30
    # All were due within the first 0.3 s and answered after 0.6 s.
    assert min(answer.answered_s - answer.started_s for answer in loop.answers) >= 0.3
    assert result.p50_ms >= 300


def test_stopped_loop_sends_nothing_more_and_ends() -> None:
    async def run() -> tuple[LoadResult, OpenLoop]:
        enough = asyncio.Event()

        async def answer(body: bytes) -> bytes:
            if loop.answered >= 20:
                enough.set()
            return OK

        loop = OpenLoop(REQUEST, 200.0, 600.0, connections=4)
        async with listening(answer) as port, asyncio.timeout(60):
            running = asyncio.create_task(loop.run("127.0.0.1", port))
            await enough.wait()
            await asyncio.to_thread(loop.stop)
            return await running, loop

    result, loop = asyncio.run(run())
    assert result.requests == loop.answered >= 20
    assert result.missed == 0
    assert result.window_s < 60


def test_unanswered_requests_count_as_missed_and_in_the_percentiles() -> None:
    async def never(body: bytes) -> bytes:
        await asyncio.Event().wait()
        return OK

    result, _ = load(never, rate=100, connections=2, grace_s=0.1)
    assert result.requests == 0
    assert result.missed > 5
    assert result.p99_ms >= 100


def test_closed_connection_is_reopened_and_its_request_counts_as_an_error() -> None:
    number = 0

    async def close_every_third(body: bytes) -> bytes | None:
        nonlocal number
        number += 1
        return None if number % 3 == 0 else OK

    result, _ = load(close_every_third, rate=200, connections=2)
    assert result.errors == number // 3 > 5
    assert result.requests == number - result.errors
    assert result.missed == 0


def test_connection_closed_after_an_answer_loses_no_request() -> None:
    number = 0
    last = OK.replace(b"content-length", b"Connection: close\r\ncontent-length")

    async def leave_every_third(body: bytes) -> bytes:
        nonlocal number
        number += 1
        return last if number % 3 == 0 else OK

    result, _ = load(leave_every_third, rate=200, connections=2)
    assert result.requests == number > 15
    assert (result.errors, result.missed) == (0, 0)


def test_run_ends_with_errors_if_no_request_is_answered() -> None:
    async def close(body: bytes) -> None:
        return None

    result, _ = load(close, rate=100, connections=2)
    assert result.requests == 0
    assert result.errors > 5


def test_rejects_more_requests_than_the_limit() -> None:
    with pytest.raises(
        ValueError, match=r"at most 2000000 can be planned, got \d+; lower the rate or the duration"
    ):
        OpenLoop(REQUEST, 1e6, 60)


def test_each_connection_sends_one_request_before_the_load_that_is_not_counted() -> None:
    bodies: list[bytes] = []

    async def answer(body: bytes) -> bytes:
        bodies.append(body)
        return OK

    async def run() -> tuple[LoadResult, OpenLoop]:
        prime = http_request("h", "/", b"prime")
        loop = OpenLoop(REQUEST, 200, 0.3, connections=8, prime=prime)
        async with listening(answer) as port:
            return await loop.run("127.0.0.1", port), loop

    result, loop = asyncio.run(run())
    assert bodies[:8] == [b"prime"] * 8
    assert result.requests == len(loop.answers) == len(bodies) - 8
    assert set(bodies[8:]) == {b"x"}
