"""The tuner: looks for the autoscaling configuration that misses little and costs little, on a trace.

Configurations are chosen by NSGA-II over cost and misses (K. Deb et al., "A fast and elitist multiobjective genetic
algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002; Optuna's), and go through successive
halving (K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS
2016): all on the hours in which the load changes most, the best part on more hours, the best of those on the whole
trace. A second trace judges what was found on the first. What is done lies in a journal file and is not done again.
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
"""So many trials for each worker are a group, and so many groups are under way."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found. front: of the finalists, those that no other beats in both; chosen: the cheapest of them that
    misses no more than allowed, or what misses least.
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
    """Search; ``spec`` is without any autoscaling applied, ``base`` gives objective, interval, shares and bounds.

    Raises:
        AutoscaleError: what is given does not go together, or the journal is of another search.
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
            f"none of {options.trials} configurations could be simulated; check the bounds of the pipeline"
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
    """Simulate the whole trace under each; what is ``None`` stays as the pipeline has it.

    Raises:
        AutoscaleError: trace, spec and a configuration do not go together.
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
    """Run the shortest rung: all trials, some at once."""
    import optuna

    part = window(counts, options.short_s)
    done = len([trial for trial in study.trials if trial.state.is_finished()])
    if not study.trials:
        for kind in options.kinds:
            study.enqueue_trial({"kind": kind, **defaults(kind)})
    progress("short", done, options.trials)
    asked, under_way = done, deque[tuple[list[optuna.Trial], list[AutoscalingConfig | None], Scores]]()
    while done < options.trials:
        # The next group is chosen while the last is simulated, not to keep workers waiting: a group late to learn.
        while asked < options.trials and len(under_way) < _GROUPS:
            trials = [study.ask() for _ in range(min(_AT_ONCE * options.workers, options.trials - asked))]
            configs = [suggested(trial, list(options.kinds), base) for trial in trials]
            asked += len(trials)
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
    left = [number for number in numbers if number not in known]
    done = len(numbers) - len(left)
    progress(rung, done, len(numbers))
    jobs = [(config_of(study, number, base, options), part) for number in left]
    for number, score in zip(left, evaluate(jobs), strict=True):
        if score is not None:
            study.set_user_attr(f"{rung}:{number}", score)
        done += 1
        progress(rung, done, len(numbers))
