"""The simulator's batcher against the cluster's, for the same steps."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.simulator.event_engine import queues
from autoscale.simulator.event_engine.state import blank_replicas, blank_works
from services.errors import QueueFull
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.work import Work

_MOST = 60
_steps = st.one_of(
    st.tuples(st.just("offer"), st.integers(1, 12), st.integers(1, 40)),
    st.tuples(st.just("take"), st.integers(0, 3), st.integers(0, 10)),
    st.tuples(st.just("cancel"), st.integers(0, _MOST), st.just(0)),
)


class Compiled:
    """One replica's compiled batcher, with an interface like ``Batcher``."""

    def __init__(self, config: BatchingConfig) -> None:
        self._config = config
        self._replicas, self._works = blank_replicas(1), blank_works(_MOST)

    def offer(self, number: int, size: int, deadline_s: float) -> bool:
        self._works["candidates"][number], self._works["deadline_s"][number] = size, deadline_s
        return queues.offer(self._replicas, self._works, 0, number, self._config.max_waiting_candidates)

    def take(self, now_s: float, expected_s: float) -> tuple[list[int], list[int]]:
        batch, late = queues.take(
            self._replicas, self._works, 0, now_s, expected_s, self._config.max_candidates
        )
        return self._listed(batch), self._listed(late)

    def cancel(self, number: int) -> None:
        queues.leave(self._replicas, self._works, 0, number)

    def batches_ahead(self, deadline_s: float) -> int:
        return queues.batches_ahead(self._replicas, self._works, 0, deadline_s, self._config.max_candidates)

    @property
    def waiting(self) -> tuple[int, int]:
        record: Any = self._replicas[0]
        return int(record["waiting_works"]), int(record["waiting_candidates"])

    def _listed(self, number: int) -> list[int]:
        numbers = []
        while number >= 0:
            numbers.append(number)
            number = int(self._works["sibling"][number])
        return numbers


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_steps, max_size=_MOST),
    st.integers(1, 20),
    st.integers(1, 60),
    st.booleans(),
)
def test_batches_equal_those_of_the_cluster(
    steps: list[tuple[str, int, int]], max_candidates: int, max_waiting: int, in_order: bool
) -> None:
    # In a full queue an earlier deadline displaces a later one. Simulated requests arrive in deadline order.
    config = BatchingConfig(
        max_candidates=max_candidates, max_waiting_candidates=max_waiting if in_order else 10_000
    )
    real: Batcher[int] = Batcher(config)
    compiled, works, now_s, latest_s = Compiled(config), dict[int, Work[int]](), 0.0, 0.0
    for number, (what, one, other) in enumerate(steps):
        if what == "offer":
            deadline_s = max(latest_s, now_s + other) if in_order else now_s + other
            latest_s = deadline_s
            work = Work(number, one, 1, deadline_s, 0, "a", now_s)
            assert compiled.batches_ahead(deadline_s) == real.batches_ahead(0, deadline_s)
            try:
                real.offer(work)
                works[number] = work
                taken = True
            except QueueFull:
                taken = False
            assert compiled.offer(number, one, deadline_s) == taken
        elif what == "take":
            now_s += one
            formed = real.take(now_s, float(other))
            assert compiled.take(now_s, float(other)) == (
                [work.payload for work in formed.batch],
                [work.payload for work in formed.late],
            )
        elif one in works and works[one].queued:
            real.cancel(works[one])
            compiled.cancel(one)
        assert compiled.waiting == (real.waiting_requests, real.waiting_candidates)


def test_work_is_served_in_order_of_deadline() -> None:
    config = BatchingConfig(max_candidates=100)
    compiled = Compiled(config)
    deadlines_s = np.random.default_rng(0).permutation(40) + 10.0
    for number, deadline_s in enumerate(deadlines_s):
        compiled.offer(number, 1, float(deadline_s))
    batch, late = compiled.take(20.0, 0.0)
    assert [deadlines_s[number] for number in late] == list(range(10, 21))
    assert [deadlines_s[number] for number in batch] == list(range(21, 50))
