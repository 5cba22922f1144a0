"""The tuner's trials: simulations of configurations on a trace or on part of it, in several processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np

from autoscale.capacity.request_capacity import request_capacities
from autoscale.config import AutoscalingConfig
from autoscale.errors import AutoscaleError, TraceError
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.run import run
from autoscale.spec import Key, PipelineSpec, PlacedUnit
from autoscale.traces.trace import BinnedTrace

if TYPE_CHECKING:
    from autoscale.simulator.step_engine.steady_cache import SteadyCache

_HEADROOM = 1.2
Score = tuple[float, float]
"""Cost, and share of requests that missed the objective."""
Job = tuple[AutoscalingConfig, tuple[float, float] | None]
Scores = Iterator[Score | None]
Argument = TypeVar("Argument")
Result = TypeVar("Result")
Evaluate = Callable[[Sequence[Job]], Scores]


def window(counts: BinnedTrace, length_s: float) -> tuple[float, float] | None:
    """Return the period of about this length in which the load changes most, or None if the trace is not longer."""
    bins = counts.counts
    size = max(1, round(length_s / bins.step_s))
    if size >= len(bins):
        return None
    width = max(1, round(60 / bins.step_s))
    smooth = np.convolve(bins.requests, np.ones(width) / width, mode="same")
    views = np.lib.stride_tricks.sliding_window_view(smooth, size)[:: max(1, size // 20)]
    index = int((views.max(axis=1) - views.min(axis=1)).argmax()) * max(1, size // 20)
    start_s = bins.start_s + index * bins.step_s
    return start_s, start_s + size * bins.step_s


def simulated(
    spec: PipelineSpec,
    config: AutoscalingConfig | None,
    counts: BinnedTrace,
    part: tuple[float, float] | None,
    seed: int,
    known: "SteadyCache | None" = None,
    engine: Literal["events", "steps"] = "steps",
) -> Simulation:
    """Simulate part of a trace, starting with the replicas that its first minute needs.

    Args:
        spec: the pipeline.
        config: the configuration. None: the pipeline's number of replicas, fixed.
        counts: the trace.
        part: the part's start and end. None: the whole trace.
        seed: the random seed.
        known: steady states that are shared with other simulations.
        engine: the simulation engine.
    """
    start_s, end_s = part or (None, None)
    options = SimulationOptions(engine=engine, start_s=start_s, end_s=end_s, seed=seed, decisions="changes")
    warmed_spec = spec if config is None else warm(spec, counts, start_s)
    return run(warmed_spec, config, counts, options, known=known)


def warm(spec: PipelineSpec, counts: BinnedTrace, start_s: float | None) -> PipelineSpec:
    """Return the spec with the initial replicas that the minute from ``start_s`` needs."""
    bins = counts.counts
    first = 0 if start_s is None else round((start_s - bins.start_s) / bins.step_s)
    rate = float(bins.requests[first : first + max(1, round(60 / bins.step_s))].mean()) / bins.step_s
    loads = request_capacities(spec)

    def with_initial_replicas(unit: str, placed: PlacedUnit, others: int) -> PlacedUnit:
        load = loads.get(Key(unit, placed.pool))
        if load is None or not others:
            return placed
        needed = _HEADROOM * rate * placed.initial_replicas / others / load.requests_per_s
        return replace(placed, initial_replicas=min(int(np.ceil(needed)), placed.max_replicas))

    units = []
    for unit in spec.units:
        total = sum(placed.initial_replicas for placed in unit.placed)
        units.append(
            replace(
                unit, placed=tuple(with_initial_replicas(unit.name, placed, total) for placed in unit.placed)
            )
        )
    return replace(spec, units=tuple(units))


@dataclass(frozen=True)
class _OnOneTrace:
    """Simulates one pipeline on one trace. All configurations share the steady states."""

    spec: PipelineSpec
    counts: BinnedTrace
    seed: int

    @cached_property
    def _known(self) -> "SteadyCache":
        from autoscale.simulator.step_engine.steady_cache import SteadyCache

        return SteadyCache()


class Simulating(_OnOneTrace):
    """Scores configurations on parts of the trace."""

    def __call__(self, job: Job) -> Score | None:
        """Return the score, or None if the configuration does not fit the pipeline."""
        config, part = job
        try:
            simulation = simulated(self.spec, config, self.counts, part, self.seed, self._known)
        except TraceError:
            raise
        except AutoscaleError:  # each number is valid, but they do not fit together
            return None
        return simulation.cost, simulation.requests.misses / max(simulation.requests.arrived, 1.0)


class Judging(_OnOneTrace):
    """Simulates configurations, or a fixed number of replicas, on the whole trace."""

    def __call__(self, config: AutoscalingConfig | None) -> Simulation:
        """Return the whole simulation."""
        return simulated(self.spec, config, self.counts, None, self.seed, self._known)


class _Worker:
    """The state of a worker process between jobs. It is set when the process starts."""

    task: ClassVar[Callable[[Any], Any]]

    @classmethod
    def start(cls, task: Callable[[Any], Any]) -> None:
        cls.task = task

    @classmethod
    def do(cls, job: Any) -> Any:
        return cls.task(job)


@contextmanager
def workers(
    spec: PipelineSpec, task: Callable[[Argument], Result], count: int
) -> Iterator[Callable[[Sequence[Argument]], Iterator[Result]]]:
    """Yield a function from jobs to an iterator over their results, in order. Several workers are processes.

    The processes start to work when the function is called, before a result is read.

    Args:
        spec: the pipeline that ``task`` simulates.
        task: the function from a job to its result.
        count: number of workers.
    """
    from autoscale.simulator.event_engine.engine import compile_engine

    if count == 1:
        yield lambda jobs: map(task, jobs)
        return
    compile_engine(spec)  # once, for all processes
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _Worker.start, (task,)) as pool:
        try:
            yield lambda jobs: pool.map(_Worker.do, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
