import asyncio

from benchmarks.harness.closed_loop import ClosedLoop
from benchmarks.harness.connections import http_request
from benchmarks.harness.results import LoadResult
from tests.benchmarks.servers import OK, Answer, listening


def load(answer: Answer, loop: ClosedLoop) -> LoadResult:
    async def run() -> LoadResult:
        async with listening(answer) as port:
            return await loop.run("127.0.0.1", port)

    return asyncio.run(run())


def test_each_client_keeps_one_request_in_flight_and_bodies_are_cycled() -> None:
    in_flight, most, bodies = 0, 0, set()

    async def answer(body: bytes) -> bytes:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        bodies.add(body)
        await asyncio.sleep(0.005)
        in_flight -= 1
        return OK

    requests = [http_request("h", "/", body) for body in (b"a", b"b", b"c")]
    loop = ClosedLoop(requests, clients=4, duration_s=0.2, warm_s=0.05)
    result = load(answer, loop)
    assert most == 4
    assert bodies == {b"a", b"b", b"c"}
    assert result.statuses == {"200": result.requests}
    assert result.errors == 0
    assert len(loop.answers) == result.requests <= loop.answered


def test_refusals_are_counted_by_status_and_not_as_throughput() -> None:
    async def answer(body: bytes) -> bytes:
        return b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"

    result = load(answer, ClosedLoop([http_request("h", "/", b"")], clients=2, duration_s=0.1, warm_s=0.0))
    assert set(result.statuses) == {"429"}
    assert result.rps == 0
    assert result.requests > 0


def test_closed_connection_counts_as_one_error_of_its_client() -> None:
    seen = 0

    async def answer(body: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        return None if seen == 1 else OK

    result = load(answer, ClosedLoop([http_request("h", "/", b"x")], clients=2, duration_s=0.1, warm_s=0.0))
    assert result.errors == 1
    assert result.statuses.keys() == {"200"}
