"""The choice of engine for a simulation."""

from typing import TYPE_CHECKING

from autoscale.simulator.arrivals import Arrivals, Rates, drawn
from autoscale.simulator.engine_base import SimulationEngine
from autoscale.simulator.options import SimulationOptions
from autoscale.spec import PipelineSpec

if TYPE_CHECKING:
    from autoscale.simulator.step_engine.steady_cache import SteadyCache


def make_engine(
    spec: PipelineSpec, arrivals: Arrivals, options: SimulationOptions, known: "SteadyCache | None"
) -> SimulationEngine:
    """Create the engine that the options name. The first engine in a process compiles or loads its numba code.

    Args:
        spec: the pipeline.
        arrivals: the requests or rates.
        options: the simulation options.
        known: steady states that the step engine shares with other simulations.
    """
    from autoscale.simulator.event_engine.engine import EventEngine
    from autoscale.simulator.step_engine.binning import binned, sizes_of
    from autoscale.simulator.step_engine.engine import StepEngine
    from autoscale.simulator.step_engine.steady_cache import SteadyCache
    from autoscale.simulator.trace_feed import Feed

    if options.engine == "events":
        chunks = drawn(arrivals, options.seed) if isinstance(arrivals, Rates) else arrivals
        return EventEngine(spec, Feed(chunks, options.start_s, options.end_s), options.seed)
    if isinstance(arrivals, Rates):
        rates, sample, counted = arrivals, sizes_of(arrivals), False
    else:
        rates, sample = binned(arrivals, spec.decision_interval_s, options.start_s, options.end_s)
        counted = True
    known = known or SteadyCache()
    return StepEngine(spec, rates, sample, options.seed, options.start_s, counted=counted, known=known)
