"""The policy for ``slo``, ``predictive``, ``coupled`` and ``cheapest``. It computes replicas from load and profiles.

Load is counted in candidates. Each lane (``lanes.py``) is sized separately. Requests that were shed before they reached
a unit count as arrivals at that unit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscale.policies.base import Decision, Observation, UnitObservation
from autoscale.policies.lane_sizer import LaneSizer
from autoscale.policies.lanes import Lane, LaneDecision, LaneState, lanes_of
from autoscale.policies.signals.coupling import derived_per_s, learnt_ratios
from autoscale.policies.signals.demand import demanded, missed_share, shed_share
from autoscale.policies.signals.forecast import ForecastConfig, ForecastState
from autoscale.policies.signals.misses import MISSED, MissState, missed
from autoscale.policies.signals.overdue import Awaited
from autoscale.policies.signals.windows import WindowState
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import Key, PipelineSpec


@dataclass(frozen=True, slots=True)
class SizedState:
    """The state of a sized policy.

    Attributes:
        windows: by lane, the recent load.
        forecasts: by lane, the forecast's state.
        up_s: by ``<unit>@<pool>``, the last time at which more replicas were requested.
        ratios: by unit, its candidates relative to the candidates that arrive at the ingress.
        misses: recent misses.
        last_s: the last decision's time.
        waits: by ``<unit>@<pool>``, the wait for replicas that do not answer yet.
    """

    windows: Mapping[str, WindowState] = field(default_factory=dict)
    forecasts: Mapping[str, ForecastState] = field(default_factory=dict)
    up_s: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    misses: MissState = field(default_factory=MissState)
    last_s: float | None = None
    waits: Mapping[str, Awaited] = field(default_factory=dict)


class SizedPolicy:
    """A policy that uses a pipeline's profiles. Its arguments choose the signals besides the windows."""

    def __init__(
        self,
        config: SizedConfig,
        spec: PipelineSpec,
        *,
        forecasts: ForecastConfig | None = None,
        coupled: bool = False,
        saving: float | None = None,
    ) -> None:
        """Create a pipeline's policy.

        Args:
            config: the options.
            spec: the pipeline.
            forecasts: the forecast options. None: no forecast.
            coupled: whether units behind the ingress are sized by the load at the ingress.
            saving: the share of the price that a move to other pools must save. None: the policy does not decide on
                the split over pools.
        """
        self._config, self._spec, self._coupled = config, spec, coupled
        self._lanes = lanes_of(spec, over_pools=saving is not None)
        self._sizer = LaneSizer(config, spec, forecasts=forecasts, saving=saving or 0.0)
        self._ingress = spec.units[0].name

    def start(self) -> SizedState:
        """Return the state before the first decision."""
        return SizedState()

    def decide(self, now_s: float, observation: Observation, state: SizedState) -> Decision[SizedState]:
        """Return the replicas that the load needs, and the split over pools if the policy decides on it."""
        ratios = state.ratios
        seen = demanded(self._spec, observation.units, ratios)
        share = missed_share(self._spec, observation.units)
        misses = missed(state.misses, now_s, share, self._config.window_s)
        if self._coupled and shed_share(self._spec, observation.units) <= MISSED:
            elapsed_s = 0.0 if state.last_s is None else now_s - state.last_s
            ratios = learnt_ratios(self._spec, seen, ratios, elapsed_s)
        lanes: dict[str, LaneDecision] = {}
        through_per_s = 0.0
        for lane in self._lanes:  # the ingress first, because its load can determine how others are sized
            derived = self._derived_per_s(lane, seen, ratios, through_per_s)
            decision = self._sizer.decide(now_s, lane, seen, _lane_state(now_s, lane, state), misses, derived)
            lanes[lane.name], misses = decision, decision.misses
            if lane.unit == self._ingress:
                through_per_s += decision.arriving_per_s
        decided = list(lanes.values())
        replicas = {key: number for lane in decided for key, number in lane.replicas.items()}
        more = {str(key): now_s for key, number in replicas.items() if number > seen[key].target}
        after = SizedState(
            windows={**state.windows, **{name: lane.window for name, lane in lanes.items()}},
            forecasts={**state.forecasts, **_forecasts(lanes)},
            up_s={**state.up_s, **more},
            ratios=ratios,
            misses=misses,
            last_s=now_s,
            waits={str(key): wait for lane in decided for key, wait in lane.waits.items()},
        )
        return Decision(
            replicas,
            {key: reason for lane in decided for key, reason in lane.reasons.items()},
            after,
            weights={unit: split for lane in decided for unit, split in lane.weights.items()},
        )

    def _derived_per_s(
        self,
        lane: Lane,
        seen: Mapping[Key, UnitObservation],
        ratios: Mapping[str, float],
        through_per_s: float,
    ) -> float:
        if not self._coupled or lane.unit == self._ingress:
            return 0.0
        return derived_per_s(self._spec, lane.keys, seen, ratios, through_per_s)


def _lane_state(now_s: float, lane: Lane, state: SizedState) -> LaneState:
    return LaneState(
        window=state.windows.get(lane.name),
        forecast=state.forecasts.get(lane.name, ForecastState()),
        since_up_s={key: now_s - state.up_s.get(str(key), -math.inf) for key in lane.keys},
        waits={key: state.waits[str(key)] for key in lane.keys if str(key) in state.waits},
    )


def _forecasts(lanes: Mapping[str, LaneDecision]) -> dict[str, ForecastState]:
    return {name: lane.forecast for name, lane in lanes.items() if lane.forecast is not None}
