"""The router over pools in one event loop, with a fake clock."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.breaker import BreakerConfig
from services.config.placement import RouterConfig
from services.errors import QueueFull
from services.units.router import PoolRouter, RankerPool


@dataclass
class Pool:
    """A pool that answers with its name, or raises ``error`` if that is set."""

    name: str
    candidates: int = 0
    replicas: int = 1
    error: BaseException | None = None
    calls: list[bytes] = field(default_factory=list)

    async def call(self, payload: bytes) -> bytes:
        self.calls.append(payload)
        if self.error is not None:
            raise self.error
        return self.name.encode()

    def as_ranker(self) -> RankerPool:
        return RankerPool(self.call, lambda: self.replicas > 0)


class Bench:
    """A router over pools ``a``, ``b`` and so on, with a fake clock."""

    def __init__(self, *weights: float, failures: int = 2) -> None:
        self.pools = [Pool("abcdef"[index]) for index in range(len(weights))]
        self.now_s = 0.0
        self.router = PoolRouter(
            {pool.name: pool.as_ranker() for pool in self.pools},
            BreakerConfig(failures=failures, retry_after_ms=1000),
            lambda: self.now_s,
        )
        self.reweigh(*weights)

    def reweigh(self, *weights: float) -> None:
        self.router.reweigh({pool.name: weight for pool, weight in zip(self.pools, weights, strict=True)})

    def send(self, *sizes: int) -> Counter[str]:
        """Send calls one after the other, and return the number of candidates that each pool answered."""

        async def scenario() -> Counter[str]:
            sent: Counter[str] = Counter()
            for size in sizes:
                sent[(await self.router(b"x", size)).decode()] += size
            return sent

        return asyncio.run(scenario())


@settings(max_examples=200)
@given(
    weights=st.lists(st.floats(0.05, 10.0), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=300),
)
def test_each_pool_gets_its_share_of_candidates_within_one_call_per_pool(
    weights: list[float], sizes: list[int]
) -> None:
    sent = Bench(*weights).send(*sizes)
    for name, weight in zip("abcdef", weights, strict=False):
        expected = sum(sizes) * weight / sum(weights)
        assert abs(sent[name] - expected) <= max(sizes) * len(weights)


def test_uses_new_weights_from_the_next_call_on() -> None:
    bench = Bench(1, 1)
    assert bench.send(*[10] * 10) == {"a": 50, "b": 50}
    bench.reweigh(0, 1)
    assert bench.send(*[10] * 10) == {"b": 100}
    bench.reweigh(3, 1)
    assert bench.send(*[10] * 8) == {"a": 60, "b": 20}


def test_spreads_out_the_calls_of_one_pool() -> None:
    bench = Bench(2, 1)
    assert [next(iter(bench.send(10))) for _ in range(6)] == ["a", "b", "a", "a", "b", "a"]


def test_skips_a_failing_pool_and_sends_its_calls_to_another() -> None:
    bench = Bench(1, 1)
    bench.pools[0].error = ConnectionError("its node is gone")
    assert bench.send(*[10] * 20) == {"b": 200}
    assert len(bench.pools[0].calls) == 2
    bench.pools[0].error = None
    bench.now_s = 1.0
    assert bench.send(*[10] * 20)["a"] > 0


def test_skips_a_pool_until_it_has_a_replica() -> None:
    bench = Bench(5, 1)
    bench.pools[0].replicas = 0
    assert bench.send(*[10] * 6) == {"b": 60}
    assert bench.pools[0].calls == []
    bench.pools[0].replicas = 1
    assert bench.send(*[10] * 6) == {"a": 50, "b": 10}


def test_calls_a_pool_even_if_no_pool_has_a_replica() -> None:
    bench = Bench(1, 0)
    for pool in bench.pools:
        pool.replicas = 0
    assert bench.send(10) == {"a": 10}


def test_calls_a_pool_of_weight_zero_if_no_other_pool_can_answer() -> None:
    bench = Bench(1, 0)
    bench.pools[0].replicas = 0
    assert bench.send(10) == {"b": 10}


def test_raises_the_last_error_if_all_pools_fail() -> None:
    bench = Bench(1, 1)
    for pool in bench.pools:
        pool.error = ConnectionError(f"{pool.name} is gone")
    with pytest.raises(ConnectionError, match="b is gone"):
        bench.send(10)


def test_raises_a_refusal_without_counting_it_as_a_failure() -> None:
    bench = Bench(1, 1)
    for pool in bench.pools:
        pool.error = QueueFull("full", retry_after_s=1)
    for _ in range(10):
        with pytest.raises(QueueFull):
            bench.send(10)
    for pool in bench.pools:
        pool.error = None
    assert bench.send(10, 10) == {"a": 10, "b": 10}


@pytest.mark.parametrize(("waited_s", "answers"), [(30.0, {b"b"}), (0.005, {b"a", b"b"})])
def test_skips_a_pool_after_a_long_cancelled_call_but_not_after_a_short_one(
    waited_s: float, answers: set[bytes]
) -> None:
    bench, now_s = Bench(1, 1), [0.0]
    called, hangs = asyncio.Event(), [True]

    async def hang(payload: bytes) -> bytes:
        if hangs:
            called.set()
            await asyncio.Event().wait()
        return b"a"

    async def scenario() -> None:
        bench.router = PoolRouter(
            {"a": RankerPool(hang), "b": bench.pools[1].as_ranker()},
            BreakerConfig(failures=1),
            lambda: now_s[0],
        )
        call = asyncio.ensure_future(bench.router(b"x", 10))
        await called.wait()
        now_s[0] = waited_s
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        hangs.clear()
        assert {await bench.router(b"x", 10) for _ in range(4)} == answers

    asyncio.run(scenario())


@pytest.mark.parametrize("may_answer_late", [True, False])
def test_sends_calls_to_another_pool_while_one_does_not_answer(may_answer_late: bool) -> None:
    bench, silent, speaks = Bench(1, 1, failures=1), asyncio.Event(), asyncio.Event()

    async def call(payload: bytes) -> bytes:
        if silent.is_set():
            await speaks.wait()
        return b"a"

    async def scenario() -> None:
        other = bench.pools[1]
        bench.router = PoolRouter(
            {"a": RankerPool(call), "b": other.as_ranker()}, BreakerConfig(failures=1), lambda: bench.now_s
        )
        assert [await bench.router(b"x", 10) for _ in range(2)] == [b"a", b"b"]
        silent.set()
        bench.now_s = 1.0
        # The first call finds that the pool is silent. The calls after it are not sent to that pool.
        assert [await bench.router(b"x", 10) for _ in range(6)] == [b"b"] * 6
        silent.clear()
        if may_answer_late:
            speaks.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        else:
            bench.now_s = 2.0
        assert b"a" in [await bench.router(b"x", 10) for _ in range(3)]

    asyncio.run(scenario())


def test_waits_for_a_slow_call_while_its_pool_answers_other_calls() -> None:
    bench = Bench(1, 1)
    long, ends = asyncio.Event(), asyncio.Event()

    async def call(payload: bytes) -> bytes:
        if payload == b"long":
            long.set()
            await ends.wait()
        bench.now_s += 0.001
        return b"a"

    async def scenario() -> None:
        bench.router = PoolRouter(
            {"a": RankerPool(call), "b": bench.pools[1].as_ranker()}, clock=lambda: bench.now_s
        )
        bench.router.reweigh({"a": 1})
        await bench.router(b"x", 10)
        waiting = asyncio.create_task(bench.router(b"long", 10))
        await long.wait()
        for _ in range(3):
            assert await bench.router(b"x", 10) == b"a"
            await asyncio.wait([waiting], timeout=0.15)  # longer than the router's patience
        ends.set()
        assert await waiting == b"a"
        assert bench.pools[1].calls == []

    asyncio.run(scenario())


def test_waits_for_a_silent_pool_if_no_other_pool_can_answer() -> None:
    bench = Bench(1, 1)
    ends = asyncio.Event()
    bench.pools[1].replicas = 0

    async def call(payload: bytes) -> bytes:
        await ends.wait()
        return b"a"

    async def scenario() -> None:
        bench.router = PoolRouter({"a": RankerPool(call), "b": bench.pools[1].as_ranker()})
        bench.router._routes[0].usual_s = 0.0
        asyncio.get_running_loop().call_later(0.3, ends.set)
        assert await bench.router(b"x", 10) == b"a"
        assert bench.pools[1].calls == []

    asyncio.run(scenario())


def test_refuses_weights_that_are_not_finite() -> None:
    with pytest.raises(ValidationError, match="finite"):
        RouterConfig.model_validate({"weights": {"a": float("nan")}})
