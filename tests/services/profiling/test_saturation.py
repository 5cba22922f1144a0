"""The clients that keep a service busy, on a server that answers as it is told."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.servers import free_port
from services.config import PipelineConfig, validated
from services.errors import ServiceError
from services.profiling.saturation import busy_ms, keep_asking
from tests.benchmarks.servers import OK, listening
from tests.pipelines import merged, pipeline_document


def asked_at(port: int) -> PipelineConfig:
    return validated(merged(pipeline_document(), {"http": {"port": port}}), "test")


Answer = Callable[[bytes], Awaitable[bytes | None]]


def with_server(answer: Answer, ask: Callable[[PipelineConfig], float]) -> float:
    async def run() -> float:
        async with listening(answer) as port:
            return await asyncio.to_thread(ask, asked_at(port))

    return asyncio.run(run())


def ask(config: PipelineConfig) -> float:
    return keep_asking(config, 0, time.perf_counter(), 5.0)


def test_a_request_keeps_a_replica_busy_for_as_long_as_the_rate_says() -> None:
    turn = asyncio.Lock()

    async def one_after_the_other(_body: bytes) -> bytes:
        async with turn:
            await asyncio.sleep(0.002)
        return OK

    found_ms = with_server(one_after_the_other, lambda config: busy_ms(config, 0.5))
    # It answers one request in 2 ms at the most.
    assert found_ms > 1.9 * asked_at(1).units["main"].replicas


def test_what_is_no_answer_is_said() -> None:
    async def refuses(_body: bytes) -> bytes:
        return OK.replace(b"200 OK", b"429 Too Many Requests")

    async def closes(_body: bytes) -> None:
        return None

    with pytest.raises(ServiceError, match=r"answers under load: .* 429"):
        with_server(refuses, ask)
    with pytest.raises(ServiceError, match="closed a connection"):
        with_server(closes, ask)
    with pytest.raises(ServiceError, match="does not answer"):
        ask(asked_at(free_port()))
