"""The tuner: a search for the autoscaling configuration with few misses and low cost on a trace.

Configurations are chosen by NSGA-II over cost and misses, as implemented in Optuna (K. Deb et al., "A fast and elitist
multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002). They go through
successive halving (K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016). All are simulated on the period in which the load changes most. The best are simulated on
a longer period, and the best of these on the whole trace.

``judge`` simulates the result on a second trace. Finished trials are stored in a journal file and are not repeated.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoscale.config import AutoscalingConfig
from autoscale.errors import AutoscaleError
from autoscale.simulator.results import Simulation
from autoscale.spec import PipelineSpec
from autoscale.traces.trace import BinnedTrace, Trace
from autoscale.tuner.fronts import JudgedConfig, best, chosen, front
from autoscale.tuner.search_space import defaults, policy_kinds, suggested
from autoscale.tuner.study import TuneOptions, config_of, identity, open_study, scores_of
from autoscale.tuner.trials import Evaluate, Judging, Scores, Simulating, window, workers

if TYPE_CHECKING:
    import optuna

Progress = Callable[[str, int, int], None]
_AT_ONCE, _GROUPS = 8, 2
"""Trials per worker in a group, and how many groups are in progress."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of a search.

    Attributes:
        chosen: the cheapest finalist with an allowed share of misses, or the finalist with the fewest misses.
        front: the finalists that no other beats in both cost and misses.
        trials: number of trials.
        failed: number of trials without a score.
    """

    chosen: JudgedConfig
    front: tuple[JudgedConfig, ...]
    trials: int
    failed: int


def tune(
    spec: PipelineSpec,
    base: AutoscalingConfig,
    trace: Trace,
    options: TuneOptions,
    journal: Path,
    progress: Progress = lambda rung, done, total: None,
) -> Tuned:
    """Search for a configuration.

    Args:
        spec: the pipeline, without an autoscaling configuration applied.
        base: objective, interval, shares and bounds for all configurations.
        trace: the trace.
        options: the search options.
        journal: the journal file.
        progress: called with the rung, the number of finished trials and the total number of trials.

    Raises:
        AutoscaleError: the arguments do not fit together, or the journal belongs to another search.
    """
    unknown = sorted(set(options.kinds) - set(policy_kinds()))
    if unknown or not options.kinds:
        raise AutoscaleError(
            f"policy: expected known kinds, got {', '.join(unknown) or 'none'}; use {', '.join(policy_kinds())}"
        )
    counts = BinnedTrace(trace.name, trace.bins(options.step_s))
    study = open_study(journal, identity(spec, base, counts, options), options)
    with workers(spec, Simulating(spec, counts, options.seed), options.workers) as evaluate:
        _explore(study, base, counts, options, evaluate, progress)
        numbers = best(scores_of(study, "short"), options.middle, options.max_misses)
        _rung(study, "middle", numbers, window(counts, options.middle_s), base, options, evaluate, progress)
        numbers = best(scores_of(study, "middle"), options.finalists, options.max_misses)
        _rung(study, "whole", numbers, None, base, options, evaluate, progress)
    finalists = [
        JudgedConfig(number, config_of(study, number, base, options), *score)
        for number, score in sorted(scores_of(study, "whole").items())
    ]
    if not finalists:
        raise AutoscaleError(
            f"none of {options.trials} configurations could be simulated on the whole trace; check autoscaling.bounds"
        )
    failed = len(study.trials) - len(scores_of(study, "short"))
    return Tuned(chosen(finalists, options.max_misses), front(finalists), len(study.trials), failed)


def judge(
    spec: PipelineSpec,
    configs: Sequence[AutoscalingConfig | None],
    trace: Trace,
    options: TuneOptions,
    progress: Progress = lambda rung, done, total: None,
) -> list[Simulation]:
    """Simulate the whole trace under each configuration. None stands for a fixed number of replicas.

    Raises:
        AutoscaleError: trace, spec and a configuration do not fit together.
    """
    counts = BinnedTrace(trace.name, trace.bins(options.step_s))
    simulations: list[Simulation] = []
    progress("judged", 0, len(configs))
    count = min(options.workers, len(configs))
    with workers(spec, Judging(spec, counts, options.seed), count) as simulate:
        for simulation in simulate(configs):
            simulations.append(simulation)
            progress("judged", len(simulations), len(configs))
    return simulations


def _explore(
    study: "optuna.Study",
    base: AutoscalingConfig,
    counts: BinnedTrace,
    options: TuneOptions,
    evaluate: Evaluate,
    progress: Progress,
) -> None:
    """Run all trials on the short rung, several at once."""
    import optuna

    part = window(counts, options.short_s)
    done = len([trial for trial in study.trials if trial.state.is_finished()])
    if not study.trials:
        for kind in options.kinds:
            study.enqueue_trial({"kind": kind, **defaults(kind)})
    progress("short", done, options.trials)
    chosen_count, under_way = done, deque[tuple[list[optuna.Trial], list[AutoscalingConfig | None], Scores]]()
    while done < options.trials:
        # Choose the next group while the previous group is simulated, so that workers do not wait. Therefore the choice
        # does not use the previous group's scores.
        while chosen_count < options.trials and len(under_way) < _GROUPS:
            trials = [
                study.ask() for _ in range(min(_AT_ONCE * options.workers, options.trials - chosen_count))
            ]
            configs = [suggested(trial, list(options.kinds), base) for trial in trials]
            chosen_count += len(trials)
            scores = evaluate([(config, part) for config in configs if config is not None])
            under_way.append((trials, configs, scores))
        trials, configs, scores = under_way.popleft()
        for trial, config in zip(trials, configs, strict=True):
            score = None if config is None else next(scores)
            if score is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, score)
            done += 1
            progress("short", done, options.trials)


def _rung(
    study: "optuna.Study",
    rung: str,
    numbers: Sequence[int],
    part: tuple[float, float] | None,
    base: AutoscalingConfig,
    options: TuneOptions,
    evaluate: Evaluate,
    progress: Progress,
) -> None:
    known = scores_of(study, rung)
    remaining = [number for number in numbers if number not in known]
    done = len(numbers) - len(remaining)
    progress(rung, done, len(numbers))
    jobs = [(config_of(study, number, base, options), part) for number in remaining]
    for number, score in zip(remaining, evaluate(jobs), strict=True):
        if score is not None:
            study.set_user_attr(f"{rung}:{number}", score)
        done += 1
        progress(rung, done, len(numbers))
