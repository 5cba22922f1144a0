"""Admission and quality in the simulator and in the service: equal decisions for equal queues and batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.serving_rules import rescue_s, stage_left_s
from autoscale.simulator.cluster.nodes import NodeChange, Replica
from autoscale.simulator.event_engine import queues
from autoscale.simulator.event_engine.admission import refuses
from autoscale.simulator.event_engine.engine import EventEngine
from autoscale.simulator.event_engine.outcomes import learn, size_of
from autoscale.simulator.event_engine.replicas import is_affordable
from autoscale.simulator.event_engine.state import ANSWERED
from autoscale.simulator.trace_feed import Feed
from autoscale.spec import Fallback
from services.scheduling.admission import Admission
from services.scheduling.batcher import Batcher, BatchingConfig
from services.scheduling.work import Work
from tests.autoscale.simulator.specs import RANKER, one_unit, poisson

BUDGET, DEADLINE_S = 10, 0.5
BATCH, FIRST = 0, 1
"""Work indices: the batch to judge, and the first work that may wait."""
EXPECTED_S = np.linspace(0.001, DEADLINE_S, 50)
_batches = st.lists(
    st.tuples(st.floats(0.1, DEADLINE_S), st.integers(1, 2 * BUDGET)), min_size=5, max_size=20
)
_requests = st.lists(st.tuples(st.floats(0.0, 0.02), st.integers(1, BUDGET)), max_size=60)


class Simulated:
    """One replica in the event engine, with an interface like ``Admission``."""

    def __init__(self, *, promises: bool) -> None:
        fallback = Fallback("small", 0.0) if promises else None
        spec = one_unit(1, fallback=fallback, max_candidates=BUDGET, deadline_ms=DEADLINE_S * 1e3)
        self._engine = EventEngine(spec, Feed(poisson(1.0, 5.0), 0.0, None), 0)
        self._engine.apply(NodeChange("opened", Replica(0, RANKER)))
        self._state = self._engine.state
        self._table = self._state.table()
        self._address = int(self._table.ctypes.data)
        self._slot = int((self._state.replicas["stamp"] == 0).argmax())
        self._waiting = 0

    def refuses(self, now_s: float, deadline_s: float) -> bool:
        self._state.clock["now_s"] = now_s
        refused = bool(refuses(self._address, self._slot, deadline_s))
        if refused:
            self._state.replicas["refused_s"][self._slot] = now_s
        return refused

    def offer(self, candidates: int, deadline_s: float) -> None:
        number = FIRST + self._waiting
        self._state.works["candidates"][number] = candidates
        self._state.works["deadline_s"][number] = deadline_s
        assert queues.offer(self._state.replicas, self._state.works, self._slot, number, 1 << 30)
        self._waiting += 1

    def learn(self, now_s: float, elapsed_s: float, candidates: int) -> float:
        self._state.clock["now_s"] = now_s
        batch = self._state.works[BATCH]
        batch["dispatched_s"], batch["candidates"], batch["level"] = now_s - elapsed_s, candidates, 1
        learn(self._address, self._slot, BATCH, ANSWERED, 0.0)
        return float(self._state.replicas["batch_s"][self._slot])

    def affords(self, now_s: float, dispatched_s: float, deadline_s: float, expected_s: float) -> bool:
        self._state.clock["now_s"] = now_s
        batch, number = self._state.works[BATCH], FIRST + self._waiting
        batch["candidates"], batch["first"], batch["dispatched_s"] = BUDGET, number, dispatched_s
        self._state.works["deadline_s"][number] = deadline_s
        self._state.expected_s[self._slot, size_of(BUDGET)] = expected_s
        self._state.expected_at_s[self._slot, size_of(BUDGET)] = now_s
        return bool(is_affordable(self._address, self._slot, BATCH))


@settings(max_examples=60, deadline=None)
@given(_batches, _requests, st.booleans(), st.floats(0.0, 0.05))
def test_simulator_and_service_learn_admit_and_judge_alike(
    batches: list[tuple[float, int]], requests: list[tuple[float, int]], promises: bool, waited_s: float
) -> None:
    simulated = Simulated(promises=promises)
    batcher: Batcher[int] = Batcher(BatchingConfig(max_candidates=BUDGET, max_waiting_candidates=1 << 29))
    admission = Admission(
        batcher, max_candidates=BUDGET, max_in_flight=1, promises=promises, horizon_s=DEADLINE_S
    )
    now_s = 1.0
    for elapsed_s, candidates in batches:
        admission.learn(elapsed_s, candidates)
        learned_s = simulated.learn(now_s, elapsed_s, candidates)
        assert learned_s == pytest.approx(admission.seconds_per_batch, rel=1e-9)
    for after_s, candidates in requests:
        now_s += after_s
        if promises:
            dispatched_s, deadline_s = now_s - waited_s, now_s - 2 * waited_s + DEADLINE_S
            share_s = admission.share_s(0, now_s) - (now_s - dispatched_s)
            left_s = stage_left_s(deadline_s - rescue_s(DEADLINE_S), now_s, 0.0)
            for expected_s in EXPECTED_S:
                is_in_time = expected_s <= min(share_s, left_s)
                assert simulated.affords(now_s, dispatched_s, deadline_s, expected_s) == is_in_time
        deadline_s = now_s + DEADLINE_S
        refused = admission.refusal(0, deadline_s, now_s) is not None
        assert simulated.refuses(now_s, deadline_s) == refused
        if not refused:
            batcher.offer(Work(0, candidates, 1, deadline_s, 0, "a", now_s))
            simulated.offer(candidates, deadline_s)
