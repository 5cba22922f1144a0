"""Lane sizing: a lane's load, the replicas that the load needs, and the reason.

A lane's load is the highest of these:

- the stable window's mean
- in a burst, the panic window's highest mean
- the forecast, if the policy makes forecasts
- the load that the ingress passes on, if the policy couples the units

Lasting misses increase the load, and so does a backlog that the requested replicas would not clear.
"""

from collections.abc import Mapping

from autoscale.capacity.prices import price, room
from autoscale.capacity.sizing import Sizing
from autoscale.policies.base import UnitObservation
from autoscale.policies.lane_pools import LanePools
from autoscale.policies.lanes import Lane, LaneDecision, LaneState, reason_of, weights_of
from autoscale.policies.mix import Mix, PoolOption
from autoscale.policies.signals.demand import shares_behind
from autoscale.policies.signals.forecast import ForecastConfig, ForecastState, forecast, observed
from autoscale.policies.signals.load import LaneLoad, with_backlog, with_misses
from autoscale.policies.signals.misses import MissState, lasting, raised
from autoscale.policies.signals.overdue import Awaited, awaited, patience_s
from autoscale.policies.signals.windows import WindowState, heightened, mean, panicked, sampled
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import Key, PipelineSpec

_SETTLED = 0.9
"""A unit is settled if this share of its target is ready. A large unit always has some replica that is being
replaced."""


class LaneSizer:
    """Sizes a pipeline's lanes by its profiles."""

    def __init__(
        self,
        config: SizedConfig,
        spec: PipelineSpec,
        *,
        forecasts: ForecastConfig | None,
        saving: float,
    ) -> None:
        """Prepare the sizing.

        Args:
            config: the policy options.
            spec: the pipeline.
            forecasts: the forecast options. None: no forecast.
            saving: the share of the price that a move to other pools must save. Otherwise replicas stay.
        """
        self._config, self._spec, self._forecasts, self._saving = config, spec, forecasts, saving
        self._sizing = Sizing(spec, aim=config.aim, max_load=config.max_load)
        self._placed = {key: spec.placed(key) for key in spec.keys()}
        self._prices = {key: price(spec, key) for key in self._placed}

    def decide(
        self,
        now_s: float,
        lane: Lane,
        seen: Mapping[Key, UnitObservation],
        before: LaneState,
        misses: MissState,
        derived_per_s: float,
    ) -> LaneDecision:
        """Return the replicas that the lane's load needs.

        Args:
            now_s: the present.
            lane: the lane.
            seen: observations for all keys. They also count requests that did not reach a unit (``demand.py``).
            before: the lane's state.
            misses: the whole pipeline's misses.
            derived_per_s: the load that the ingress passes on, in candidates/s. 0 if the policy does not couple units.
        """
        config, waits = self._config, _waits(now_s, lane, seen, before)
        pools = self._pools(lane, seen).without(self._overdue(now_s, waits))
        window = before.window or heightened(WindowState(), now_s, pools.target_per_s, config.down_window_s)
        window = sampled(window, now_s, pools.arriving_per_s, config.window_s)
        short_per_s = mean(window, now_s, config.panic_window_s)
        window = self._panicked(now_s, window, short_per_s, pools)
        load, forecast_state = self._load(now_s, lane, window, short_per_s, derived_per_s, before.forecast)
        misses = self._raised(now_s, pools, misses)
        load = with_misses(load, misses.added.get(lane.unit, 0.0), lasting(misses))
        load = with_backlog(
            load,
            self._spec,
            lane.keys,
            pools.observed,
            pools.capacities,
            before.since_up_s,
            config.drain_s,
        )
        window = heightened(window, now_s, load.down * (1 + config.hysteresis), config.down_window_s)
        options = self._options(pools)
        mix = pools.mix(options, load.up, window.highest[0][1], self._saving)
        return LaneDecision(
            replicas=dict(zip(lane.keys, mix, strict=True)),
            reasons=self._reasons(seen, pools, options, mix, load),
            weights=weights_of(lane, mix, pools.observed, options) if len(lane.keys) > 1 else {},
            arriving_per_s=short_per_s,
            window=window,
            forecast=forecast_state,
            misses=misses,
            waits=waits,
        )

    def _pools(self, lane: Lane, seen: Mapping[Key, UnitObservation]) -> LanePools:
        observed_ = [seen[key] for key in lane.keys]
        requests = sum(unit.arriving_requests_per_s for unit in observed_)
        candidates = sum(unit.arriving_candidates_per_s for unit in observed_)
        size = candidates / requests if requests > 0 else float(self._spec.candidates_per_request)
        shares = shares_behind(self._spec, lane.unit, seen)
        return LanePools(lane, observed_, [self._sizing.capacity(key, size, shares) for key in lane.keys])

    def _panicked(
        self, now_s: float, window: WindowState, short_per_s: float, pools: LanePools
    ) -> WindowState:
        least_per_s = min(capacity.per_s for capacity in pools.capacities)
        limit = self._config.panic_threshold * max(pools.ready_per_s, least_per_s)
        return panicked(window, now_s, short_per_s, limit, self._config.window_s)

    def _load(
        self,
        now_s: float,
        lane: Lane,
        window: WindowState,
        short_per_s: float,
        derived_per_s: float,
        before: ForecastState,
    ) -> tuple[LaneLoad, ForecastState | None]:
        load, why = mean(window, now_s, self._config.window_s), "arrive"
        if window.panic is not None and window.panic[1] > load:
            load, why = window.panic[1], "arrive in a burst"
        if derived_per_s > load:
            load, why = derived_per_s, f"are expected from {self._spec.units[0].name}"
        state = None
        if self._forecasts is not None:
            state = observed(self._forecasts, before, now_s, max(short_per_s, derived_per_s))
            horizon_s = max(self._horizon_s(key) for key in lane.keys)
            predicted, state = forecast(self._forecasts, state, now_s, horizon_s)
            if predicted > load:
                load, why = predicted, f"are forecast within {horizon_s:.0f} s"
        return LaneLoad(load, load, why), state

    def _raised(self, now_s: float, pools: LanePools, misses: MissState) -> MissState:
        capacity_per_s = pools.ready_per_s
        ready = sum(unit.ready for unit in pools.observed)
        return raised(
            misses,
            now_s,
            pools.lane.unit,
            starting=ready < _SETTLED * sum(unit.target for unit in pools.observed),
            load=pools.arriving_per_s / capacity_per_s if capacity_per_s > 0 else 0.0,
            window_s=self._config.window_s,
            max_addition=self._config.max_added,
        )

    def _horizon_s(self, key: Key) -> float:
        """Return the longest time until a replica that is requested now is ready, including a new node."""
        pool = self._spec.pools.get(key.pool)
        provisioning_s = pool.provisioning_s if pool is not None else 0.0
        return provisioning_s + self._placed[key].profile.startup_s + self._spec.decision_interval_s

    def _options(self, pools: LanePools) -> list[PoolOption]:
        usable = any(capacity.feasible for capacity in pools.capacities)
        options = []
        for key, capacity in zip(pools.lane.keys, pools.capacities, strict=True):
            placed = self._placed[key]
            most = placed.max_replicas if len(pools.lane.keys) == 1 else room(self._spec, key)
            if usable and not capacity.feasible:
                most = placed.min_replicas
            options.append(PoolOption(capacity.per_s, self._prices[key], placed.min_replicas, most))
        return options

    def _reasons(
        self,
        seen: Mapping[Key, UnitObservation],
        pools: LanePools,
        options: list[PoolOption],
        mix: Mix,
        load: LaneLoad,
    ) -> dict[Key, str]:
        lane = pools.lane
        share_s = self._sizing.shares_s[lane.unit] * self._config.aim
        columns = zip(lane.keys, mix, options, pools.capacities, strict=True)
        return {
            key: reason_of(lane, key, seen[key].target, number, load, capacity, option.per_s, share_s)
            + ("; replicas requested there do not come" if key in pools.overdue else "")
            for key, number, option, capacity in columns
        }

    def _overdue(self, now_s: float, waits: Mapping[Key, Awaited]) -> set[Key]:
        return {key for key, wait in waits.items() if now_s - wait.since_s > patience_s(self._horizon_s(key))}


def _waits(
    now_s: float, lane: Lane, seen: Mapping[Key, UnitObservation], before: LaneState
) -> dict[Key, Awaited]:
    """Return the waits for replicas in a lane with several pools. Without another pool there is no alternative."""
    if len(lane.keys) == 1:
        return {}
    waits = {key: awaited(before.waits.get(key), now_s, seen[key]) for key in lane.keys}
    return {key: wait for key, wait in waits.items() if wait is not None}
