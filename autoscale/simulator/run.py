"""Simulates one trace under one configuration, for the commands ``simulate``, ``tune`` and ``replay``."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from autoscale.config import AutoscalingConfig, make_policy
from autoscale.policies.base import Policy
from autoscale.policies.fixed import Fixed
from autoscale.policies.target_ongoing import TargetOngoingConfig
from autoscale.simulator.arrivals import Chunk, Rates
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.simulate import simulate
from autoscale.spec import PipelineSpec
from autoscale.traces.bins import Bins
from autoscale.traces.trace import BinnedTrace, Trace, coarse

if TYPE_CHECKING:
    from autoscale.simulator.step_engine.steady_cache import SteadyCache

Engine = Literal["auto", "events", "steps"]
MOST_BY_EVENTS = 3_000_000
_STEP_S = 1.0


def engine_for(trace: Trace, engine: Engine) -> Literal["events", "steps"]:
    """Return the engine to use. "auto" means the event engine if the trace has at most ``MOST_BY_EVENTS`` requests.

    Raises:
        TraceError: the trace cannot be read.
    """
    if engine != "auto":
        return engine
    return "events" if coarse(trace).requests.sum() <= MOST_BY_EVENTS else "steps"


def run(
    spec: PipelineSpec,
    config: AutoscalingConfig | None,
    trace: Trace,
    options: SimulationOptions,
    progress: Callable[[float], None] | None = None,
    known: "SteadyCache | None" = None,
) -> Simulation:
    """Simulate the trace.

    Args:
        spec: the pipeline.
        config: the autoscaling configuration. None: the number of replicas is fixed.
        trace: the requests.
        options: the simulation options.
        progress: called now and then with the present time in the trace.
        known: as for ``simulate``.

    Raises:
        AutoscaleError: trace, spec and configuration do not fit together.
    """
    if config is None:
        policy: Policy[Any] = Fixed(spec)
    else:
        spec, policy = config.applied_to(spec), make_policy(config, spec)
        if isinstance(config.policy, TargetOngoingConfig):
            options = options.model_copy(update={"look_back_s": config.policy.look_back_period_s})
    if options.engine == "steps":
        step_s = trace.counts.step_s if isinstance(trace, BinnedTrace) else _STEP_S
        return simulate(spec, policy, rates(trace.bins(step_s)), options, progress, known)
    return simulate(spec, policy, _chunks(trace, options.seed), options, progress)


def rates(counts: Bins) -> Rates:
    """Convert counts to rates."""
    return Rates(counts.start_s, counts.step_s, counts.requests / counts.step_s, counts.candidates)


def _chunks(trace: Trace, seed: int) -> Iterator[Chunk]:
    return ((chunk.times_s, chunk.candidates) for chunk in trace.arrivals(seed))
