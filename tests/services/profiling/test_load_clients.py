"""The clients that load a service, with a server whose answers the test controls."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from benchmarks.harness.servers import free_port
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.errors import ServiceError
from services.profiling.load_clients import ask_on_schedule, keep_asking
from services.profiling.sample_requests import SampleRequests
from services.profiling.saturation import saturate
from tests.benchmarks.servers import OK, listening
from tests.pipelines import merged, pipeline_document

Answer = Callable[[bytes], Awaitable[bytes | None]]
Result = TypeVar("Result")


def config_for(port: int) -> PipelineConfig:
    return validated(merged(pipeline_document(), {"http": {"port": port}}), "test")


def with_server(answer: Answer, ask: Callable[[PipelineConfig], Result]) -> Result:
    async def run() -> Result:
        async with listening(answer) as port:
            return await asyncio.to_thread(ask, config_for(port))

    return asyncio.run(run())


def ask(config: PipelineConfig) -> list[float]:
    return keep_asking(config, 0, time.perf_counter() + 5.0, SampleRequests())


def test_counts_answers_after_the_warm_up_and_all_answers() -> None:
    lock = asyncio.Lock()

    async def one_after_the_other(_body: bytes) -> bytes:
        async with lock:
            await asyncio.sleep(0.002)
        return OK

    counted, asked = with_server(one_after_the_other, lambda config: saturate(config, 0.5, SampleRequests()))
    # The server answers at most one request per 2 ms.
    assert 0 < counted <= 250
    assert counted < asked


def test_keeps_the_schedule_while_a_request_waits() -> None:
    seen: list[tuple[float, str]] = []
    first = asyncio.Event()

    async def slow_for_the_first(body: bytes) -> bytes:
        seen.append((time.perf_counter(), json.loads(body)["user_id"]))
        if len(seen) == 1:
            await first.wait()
        if len(seen) == 4:
            first.set()
        return OK

    begun_s = time.perf_counter()
    due_s = [begun_s + 0.02 * index for index in range(1, 5)]
    with_server(slow_for_the_first, lambda config: ask_on_schedule(config, due_s, 2, SampleRequests()))
    assert [user for _, user in seen] == ["u-000000", "u-000001", "u-000002", "u-000003"]
    assert all(at_s >= due for (at_s, _), due in zip(seen, due_s, strict=True))


def test_reports_missing_and_failed_answers() -> None:
    async def refuses(_body: bytes) -> bytes:
        return OK.replace(b"200 OK", b"429 Too Many Requests")

    async def closes(_body: bytes) -> None:
        return None

    with pytest.raises(ServiceError, match=r"expected status 200 from the service under load, got .* 429"):
        with_server(refuses, ask)
    with pytest.raises(ServiceError, match="closed a connection"):
        with_server(closes, ask)
    with pytest.raises(ServiceError, match="closed a connection"):
        with_server(closes, lambda config: ask_on_schedule(config, [0.0, 0.0], 2, SampleRequests()))
    with pytest.raises(ServiceError, match="does not answer"):
        ask(config_for(free_port()))
