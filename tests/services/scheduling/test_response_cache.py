"""The response cache: lifetime and size, one computation for identical requests, and no cached degraded answers."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.ragged import RaggedBatch
from models.served_log.reading import read_lists
from services.config.loading import load_config
from services.errors import DeadlinePassed, StageFailed
from services.ingress.schema import RankRequest
from services.scheduling.job import Answer
from services.scheduling.response_cache import ResponseCache, ResponseCacheConfig, TtlCache, key_of
from services.stages.context import EncodedContext
from services.stages.query import Query
from services.units.ingress_replica import build_engine
from tests.pipelines import FEATURES, bias_of, make_pipeline

FAR_S = 1e9
NOTHING = [None, None]
"""Neither an overlay nor live item features are in use."""


class Counts:
    """Records look-up results."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()

    def add(self, value: str, count: int = 1) -> None:
        self.totals[value] += count


def answer_of(score: float, degraded: bool = False) -> Answer:
    """Return an answer that is the second in its batch."""
    batch = RaggedBatch(
        offsets=np.array([0, 1, 3]),
        rows=np.arange(3),
        requests={"user.bias": np.zeros(2)},
        candidates={"score": np.array([0.0, score, score - 1.0])},
    )
    return Answer(batch.missing("features", [1]) if degraded else batch, 1, 5.0, {"ranker": 3.0})


def score_of(answer: Answer) -> float:
    return float(answer.batch.candidates["score"][answer.batch.offsets[answer.first]])


@given(
    st.floats(0.5, 20.0),
    st.integers(1, 4),
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.floats(0.0, 4.0)), max_size=40),
)
def test_entries_expire_and_never_exceed_the_limit(
    ttl_s: float, most: int, steps: list[tuple[bool, int, float]]
) -> None:
    cache: TtlCache[int] = TtlCache(ttl_s, most)
    model: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
    now_s = 0.0
    for number, (puts, name, elapsed_s) in enumerate(steps):
        now_s += elapsed_s
        key = b"%d" % name
        for ended in [k for k, (end_s, _) in model.items() if end_s <= now_s]:
            del model[ended]
        if puts:
            model[key] = (now_s + ttl_s, number)
            model.move_to_end(key)
            evicted = cache.put(key, number, now_s)
            assert evicted == max(0, len(model) - most)
            if evicted:
                model.popitem(last=False)
            assert len(cache) == len(model)
        else:
            entry = model.get(key)
            assert cache.get(key, now_s) == (None if entry is None else entry[1])
        assert len(cache) <= most


async def _settled() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.integers(0, 2)),
            st.tuples(st.sampled_from(["answer", "degrade", "fail", "cancel"]), st.integers(0, 5)),
            st.tuples(st.just("wait"), st.integers(1, 8)),
        ),
        max_size=40,
    )
)
def test_every_request_gets_an_answer_for_its_own_key(
    steps: list[tuple[str, int]],
) -> None:
    counts, now = Counts(), [0.0]
    good: set[tuple[int, float, float]] = set()  # key, the time of a complete answer, and its score
    made: list[tuple[int, asyncio.Future[Answer]]] = []
    asked: list[tuple[int, asyncio.Task[Answer]]] = []

    async def run() -> None:
        cache = ResponseCache(ResponseCacheConfig(ttl_s=10.0), counts, lambda: now[0], with_features=False)

        def maker(name: int) -> Callable[[], Awaitable[Answer]]:
            def make() -> Awaitable[Answer]:
                future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
                made.append((name, future))
                return future

            return make

        async def end(how: str, place: int, score: float) -> None:
            waiting = [(name, future) for name, future in made if not future.done()]
            if not waiting:
                return
            name, future = waiting[place % len(waiting)]
            if how == "cancel":
                future.cancel()
            elif how == "fail":
                future.set_exception(StageFailed("it fell"))
            else:
                future.set_result(answer_of(1000.0 * name + score, how == "degrade"))
                if how == "answer":
                    good.add((name, now[0], 1000.0 * name + score))
            await _settled()

        for number, (what, value) in enumerate(steps):
            if what == "ask":
                before = len(made)
                task = asyncio.ensure_future(cache.answer(b"%d" % value, FAR_S, maker(value)))
                asked.append((value, task))
                await _settled()
                alone = [name for name, future in made if name == value and not future.done()]
                assert len(made) - before <= 1
                assert task.done() or alone, "somebody works on it, or it is answered"
                if task.done():
                    result = score_of(task.result())
                    assert any((value, result) == (n, s) and now[0] - at_s < 10.0 for n, at_s, s in good)
            elif what == "wait":
                now[0] += value
            else:
                await end(what, value, number)
        for _ in range(len(made) + len(asked)):
            await end("degrade", 0, 999.0)
        for name, task in asked:
            assert task.done()
            if not task.cancelled() and task.exception() is None:
                assert int(score_of(task.result()) // 1000) == name
        assert cache.pending == 0

    asyncio.run(run())
    assert sum(counts.totals[each] for each in ("hit", "miss", "shared")) == len(asked)
    assert counts.totals["miss"] == len(made)


def cached(
    scenario: Callable[[ResponseCache, list[float], Counts], Awaitable[None]],
    *,
    with_features: bool = True,
    **config: Any,
) -> None:
    async def run() -> None:
        now, counts = [0.0], Counts()
        cache = ResponseCache(
            ResponseCacheConfig(**config), counts, lambda: now[0], with_features=with_features
        )
        async with asyncio.timeout(20):
            await scenario(cache, now, counts)

    asyncio.run(run())


async def given_at_once(answer: Answer) -> Answer:
    return answer


@pytest.mark.parametrize("with_features", [True, False])
def test_answer_is_cached_until_it_expires_and_without_its_batch(with_features: bool) -> None:
    async def scenario(cache: ResponseCache, now: list[float], counts: Counts) -> None:
        first = await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(7.0)))
        assert first.timings_ms == {"ranker": 3.0}
        now[0] = 9.9
        again = await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(8.0)))
        assert score_of(again) == 7.0
        assert (len(again.batch), again.first, again.queued_ms, again.timings_ms) == (1, 0, 0.0, {})
        assert ("user.bias" in again.batch.requests) == with_features
        assert again.batch.candidates["score"].tolist() == [7.0, 6.0]
        now[0] = 10.0
        assert score_of(await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(8.0)))) == 8.0
        assert counts.totals == {"miss": 2, "hit": 1}

    cached(scenario, with_features=with_features, ttl_s=10.0)


def test_degraded_answer_is_not_cached() -> None:
    async def scenario(cache: ResponseCache, now: list[float], counts: Counts) -> None:
        await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(7.0, degraded=True)))
        again = await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(8.0)))
        assert score_of(again) == 8.0

    cached(scenario)


def test_request_waits_for_an_identical_one_up_to_its_own_deadline() -> None:
    async def scenario(cache: ResponseCache, now: list[float], counts: Counts) -> None:
        flight: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        leader = asyncio.ensure_future(cache.answer(b"a", FAR_S, lambda: flight))
        await _settled()
        with pytest.raises(DeadlinePassed, match="an identical request"):
            await cache.answer(b"a", 0.01, lambda: given_at_once(answer_of(9.0)))
        flight.set_result(answer_of(7.0))
        assert score_of(await leader) == 7.0

    cached(scenario)


def test_pending_answer_is_shared_only_at_equal_urgency() -> None:
    async def scenario(cache: ResponseCache, now: list[float], counts: Counts) -> None:
        flight: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        hasty = [
            asyncio.ensure_future(cache.answer(b"a", FAR_S, lambda: flight, urgency=(1.0, 0)))
            for _ in range(2)
        ]
        await _settled()
        patient = await cache.answer(b"a", FAR_S, lambda: given_at_once(answer_of(8.0)), urgency=(None, 0))
        flight.set_result(answer_of(7.0, degraded=True))
        assert [score_of(answer) for answer in await asyncio.gather(*hasty)] == [7.0, 7.0]
        assert score_of(patient) == 8.0
        assert counts.totals == {"miss": 2, "shared": 1}

    cached(scenario)


def test_oldest_entry_is_evicted_at_the_limit() -> None:
    async def scenario(cache: ResponseCache, now: list[float], counts: Counts) -> None:
        for name in (b"a", b"b", b"c", b"b", b"c", b"a"):
            now[0] += 1.0
            await cache.answer(name, FAR_S, lambda: given_at_once(answer_of(1.0)))
        assert counts.totals == {"miss": 4, "hit": 2, "evicted": 2}

    cached(scenario, max_entries=2, ttl_s=100.0)


def test_everything_that_changes_the_answer_changes_the_key() -> None:
    query = Query(b"u", EncodedContext([1.0, 2.0], (b"sea",)), np.array([1, 2]), 5.0, 0, 10)
    others = [
        replace(query, user_key=b"v"),
        replace(query, context=EncodedContext([1.0, 2.5], (b"sea",))),
        replace(query, context=EncodedContext([1.0, 2.0], (b"see",))),
        replace(query, rows=np.array([2, 1])),
        replace(query, rows=None),
        replace(query, rows=np.array([], dtype=np.int64)),
        replace(query, k=11),
    ]
    keys = {key_of(each, "r", NOTHING) for each in (query, *others)}
    keys |= {key_of(query, "s", NOTHING), key_of(query, "r", [(1, 2, 3), None])}
    assert len(keys) == len(others) + 3
    assert key_of(replace(query, deadline_s=9.0, priority=3), "r", NOTHING) == key_of(query, "r", NOTHING)


def test_identical_requests_are_ranked_once_and_each_is_logged(tmp_path: Path) -> None:
    changes = {"response_cache": {"ttl_s": 60}, "log": {"path": "served"}}
    config = load_config(make_pipeline(tmp_path, changes))

    async def run() -> None:
        engine = build_engine(config, tmp_path, replica="test")
        requests = [RankRequest(user_id=f"u{number % 3}", k=4, explain=number > 8) for number in range(12)]
        try:
            first = await asyncio.gather(*[engine.rank(each, f"a{i}") for i, each in enumerate(requests)])
            again = [await engine.rank(each, f"b{i}") for i, each in enumerate(requests)]
        finally:
            engine.close()
        assert engine.metrics.candidate_count == 3 * config.candidates.count
        for number, (one, other) in enumerate(zip(first, again, strict=True)):
            assert (one.request_id, other.request_id) == (f"a{number}", f"b{number}")
            assert [item.id for item in one.items] == [item.id for item in other.items]
            assert one.items[0].score >= bias_of(number % 3)
            assert bool(other.items[0].scores) == (number > 8)
            assert other.timings_ms == {"queue": 0.0}

    asyncio.run(run())
    result = read_lists([tmp_path / "served"], FEATURES)
    assert len(result.batch) == 24
    biases = result.batch.requests["user.bias"]
    assert isinstance(biases, np.ndarray)
    np.testing.assert_array_equal(biases, [bias_of(int(user[1:])) for user in result.user_ids])
