"""What ``slo``, ``predictive``, ``coupled`` and ``cheapest`` share: replicas from profiles, for the load there is.

Work is counted in candidates. A lane is what is sized as one: a unit in one pool, by what arrives there; or, where the
policy decides on the split, a unit with all its pools. The load of a lane is the highest of these: its stable window's
mean; in a burst its panic window's; where forecasts are made, the forecast's; where units are coupled, what comes
through the ingress. What did not reach a unit counts as arriving there, and lasting misses of the objective add to it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from autoscale.capacity.prices import price, room
from autoscale.capacity.sizing import CandidateCapacity, Sizing
from autoscale.policies.base import Decision, Observation, UnitObservation
from autoscale.policies.lanes import Lane, lanes_of, reason_of, weights_of
from autoscale.policies.mix import Mix, PoolOption, changed, handed_over
from autoscale.policies.signals.coupling import derived_per_s, learnt_ratios
from autoscale.policies.signals.demand import demanded, missed_share, shares_behind, shed_share
from autoscale.policies.signals.forecast import ForecastConfig, ForecastState, forecast, observed
from autoscale.policies.signals.load import Load, with_backlog, with_misses
from autoscale.policies.signals.misses import MISSED, MissState, lasting, missed, raised
from autoscale.policies.signals.windows import WindowState, heightened, mean, panicked, sampled
from autoscale.spec import Key, PipelineSpec

_SETTLED = 0.9
"""A unit with this share of its target ready is settled: in a large one some replica is always being replaced."""


class SizedConfig(BaseModel):
    """Options of every policy that sizes from profiles.

    aim: share of the objective that the predicted p99 is to stay within. max_load: of its saturation a replica is
    given so much at most. window_s, panic_window_s: loads are averaged over these. panic_threshold: a burst is a panic
    window's load above so many times what the ready replicas take; it lasts until a stable window after the last.
    down_window_s: the highest load of so long holds on the way down, and hysteresis is added to it.
    drain_s: what waits beyond what is ready will be worked off in so long. max_added: answers that miss the objective
    for a whole window, again and again, add up to so much of the load to it; 0: nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    aim: float = Field(default=0.9, gt=0, le=2)
    max_load: float = Field(default=0.85, gt=0, le=0.98)
    window_s: float = Field(default=60.0, gt=0, le=3600)
    panic_window_s: float = Field(default=10.0, gt=0, le=600)
    panic_threshold: float = Field(default=1.1, ge=1, le=10)
    down_window_s: float = Field(default=120.0, ge=0, le=86_400)
    hysteresis: float = Field(default=0.1, ge=0, le=1)
    drain_s: float = Field(default=10.0, gt=0, le=600)
    max_added: float = Field(default=1.0, ge=0, le=10)


@dataclass(frozen=True, slots=True)
class SizedState:
    """By lane its windows and forecasts, by ``<unit>@<pool>`` when more were last asked for, by unit its share of what
    the ingress takes in; and the misses of late.
    """

    windows: Mapping[str, WindowState] = field(default_factory=dict)
    forecasts: Mapping[str, ForecastState] = field(default_factory=dict)
    up_s: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    misses: MissState = field(default_factory=MissState)
    last_s: float | None = None


class SizedPolicy:
    """A policy over a pipeline's measured profiles; what it looks at beside the windows is chosen by the arguments."""

    def __init__(
        self,
        config: SizedConfig,
        spec: PipelineSpec,
        *,
        forecasts: ForecastConfig | None = None,
        coupled: bool = False,
        saving: float | None = None,
    ) -> None:
        """Size ``spec``'s units. saving: split units over their pools; they move for so much of the price."""
        self._config, self._spec, self._forecasts = config, spec, forecasts
        self._coupled, self._saving = coupled, saving
        self._sizing = Sizing(spec, aim=config.aim, max_load=config.max_load)
        self._placed = {key: spec.placed(key) for key in spec.keys()}
        self._lanes = lanes_of(spec, over_pools=saving is not None)
        self._prices = {key: price(spec, key) for key in self._placed}
        self._ingress = spec.units[0].name

    def start(self) -> SizedState:
        """Give the state before the first decision."""
        return SizedState()

    def decide(self, now_s: float, observation: Observation, state: SizedState) -> Decision[SizedState]:
        """Give the replicas that the load needs, and the split over pools where it is decided here."""
        ratios = state.ratios
        seen = demanded(self._spec, observation.units, ratios)
        share = missed_share(self._spec, observation.units)
        misses = missed(state.misses, now_s, share, self._config.window_s)
        if self._coupled and shed_share(self._spec, observation.units) <= MISSED:
            elapsed_s = 0.0 if state.last_s is None else now_s - state.last_s
            ratios = learnt_ratios(self._spec, seen, ratios, elapsed_s)
        # The ingress first: what arrives there is what the others are sized by.
        windows_, forecasts, up_s = dict(state.windows), dict(state.forecasts), dict(state.up_s)
        replicas: dict[Key, int] = {}
        reasons: dict[Key, str] = {}
        weights: dict[str, Mapping[str, float]] = {}
        through = 0.0
        for lane in self._lanes:
            here = [seen[key] for key in lane.keys]
            per_request = self._candidates_per_request(here)
            shares = shares_behind(self._spec, lane.unit, seen)
            capacities = [self._sizing.capacity(key, per_request, shares) for key in lane.keys]
            window = windows_.get(lane.name) or self._first_window(now_s, here, capacities)
            window = sampled(
                window, now_s, sum(u.arriving_candidates_per_s for u in here), self._config.window_s
            )
            short = mean(window, now_s, self._config.panic_window_s)
            if lane.unit == self._ingress:
                through += short
            derived = 0.0
            if self._coupled and lane.unit != self._ingress:
                derived = derived_per_s(self._spec, lane.keys, seen, ratios, through)
            window = self._panicked(now_s, window, short, here, capacities)
            load, ahead = self._load(now_s, lane, window, short, derived, forecasts)
            misses = self._raised(now_s, lane, here, capacities, misses)
            load = with_misses(load, misses.added.get(lane.unit, 0.0), lasting(misses))
            since_up_s = {key: now_s - state.up_s.get(str(key), -math.inf) for key in lane.keys}
            load = with_backlog(
                load, self._spec, lane.keys, here, capacities, since_up_s, self._config.drain_s
            )
            window = heightened(
                window, now_s, load.down * (1 + self._config.hysteresis), self._config.down_window_s
            )
            windows_[lane.name] = window
            if ahead is not None:
                forecasts[lane.name] = ahead
            options, mix = self._mix(lane, here, capacities, load.up, window.highest[0][1])
            for key, unit, number, option, capacity in zip(
                lane.keys, here, mix, options, capacities, strict=True
            ):
                replicas[key] = number
                if number > unit.target:
                    up_s[str(key)] = now_s
                share_s = self._sizing.shares_s[key.unit] * self._config.aim
                reasons[key] = reason_of(
                    lane, key, unit.target, number, load, capacity, option.per_s, share_s
                )
            if len(lane.keys) > 1:
                weights |= weights_of(lane, mix, here, options)
        decided = SizedState(windows_, forecasts, up_s, ratios, misses, now_s)
        return Decision(replicas, reasons, decided, weights=weights)

    def _candidates_per_request(self, here: list[UnitObservation]) -> float:
        requests = sum(unit.arriving_requests_per_s for unit in here)
        candidates = sum(unit.arriving_candidates_per_s for unit in here)
        return candidates / requests if requests > 0 else float(self._spec.candidates_per_request)

    def _first_window(
        self, now_s: float, here: list[UnitObservation], capacities: list[CandidateCapacity]
    ) -> WindowState:
        """Begin with what there is: nothing is taken away before a window of metrics has been seen."""
        able = sum(unit.target * capacity.per_s for unit, capacity in zip(here, capacities, strict=True))
        return heightened(WindowState(), now_s, able, self._config.down_window_s)

    def _panicked(
        self,
        now_s: float,
        window: WindowState,
        short: float,
        here: list[UnitObservation],
        capacities: list[CandidateCapacity],
    ) -> WindowState:
        able = sum(unit.ready * capacity.per_s for unit, capacity in zip(here, capacities, strict=True))
        limit = self._config.panic_threshold * max(able, min(capacity.per_s for capacity in capacities))
        return panicked(window, now_s, short, limit, self._config.window_s)

    def _load(
        self,
        now_s: float,
        lane: Lane,
        window: WindowState,
        short: float,
        derived: float,
        forecasts: Mapping[str, ForecastState],
    ) -> tuple[Load, ForecastState | None]:
        load, why = mean(window, now_s, self._config.window_s), "arrive"
        if window.panic is not None and window.panic[1] > load:
            load, why = window.panic[1], "arrive in a burst"
        if derived > load:
            load, why = derived, f"come through {self._ingress}"
        state = None
        if self._forecasts is not None:
            state = observed(
                self._forecasts, forecasts.get(lane.name, ForecastState()), now_s, max(short, derived)
            )
            horizon_s = max(self._horizon_s(key) for key in lane.keys)
            ahead, state = forecast(self._forecasts, state, now_s, horizon_s)
            if ahead > load:
                load, why = ahead, f"are forecast within {horizon_s:.0f} s"
        return Load(load, load, why), state

    def _raised(
        self,
        now_s: float,
        lane: Lane,
        here: list[UnitObservation],
        capacities: list[CandidateCapacity],
        misses: MissState,
    ) -> MissState:
        able = sum(unit.ready * capacity.per_s for unit, capacity in zip(here, capacities, strict=True))
        given = sum(unit.arriving_candidates_per_s for unit in here)
        return raised(
            misses,
            now_s,
            lane.unit,
            starting=sum(unit.ready for unit in here) < _SETTLED * sum(unit.target for unit in here),
            load=given / able if able > 0 else 0.0,
            window_s=self._config.window_s,
            most=self._config.max_added,
        )

    def _horizon_s(self, key: Key) -> float:
        """Give how long it is until what is asked for now is ready, at the worst: a node, then the replica."""
        pool = self._spec.pools.get(key.pool)
        provisioning_s = pool.provisioning_s if pool is not None else 0.0
        return provisioning_s + self._placed[key].profile.startup_s + self._spec.decision_interval_s

    def _mix(
        self,
        lane: Lane,
        here: list[UnitObservation],
        capacities: list[CandidateCapacity],
        up: float,
        down: float,
    ) -> tuple[list[PoolOption], Mix]:
        usable = any(capacity.feasible for capacity in capacities)
        options = []
        for key, capacity in zip(lane.keys, capacities, strict=True):
            placed = self._placed[key]
            most = placed.max_replicas if len(lane.keys) == 1 else room(self._spec, key)
            if usable and not capacity.feasible:
                most = placed.min_replicas
            options.append(PoolOption(capacity.per_s, self._prices[key], placed.min_replicas, most))
        target = tuple(unit.target for unit in here)
        wanted = changed(target, up, max(up, down), options, self._saving or 0.0)
        if len(options) == 1:
            return options, wanted
        return options, handed_over(wanted, target, tuple(unit.ready for unit in here), up, options)
