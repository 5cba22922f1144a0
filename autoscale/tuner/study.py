"""The tuner's study: an Optuna study in a journal file, with every rung's scores. A search can resume from it."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from autoscale.config import AutoscalingConfig
from autoscale.errors import AutoscaleError
from autoscale.spec import PipelineSpec
from autoscale.traces.trace import BinnedTrace
from autoscale.tuner.search_space import suggested
from autoscale.tuner.trials import Score

if TYPE_CHECKING:
    import optuna


class TuneOptions(BaseModel):
    """Search options.

    The search has three rungs, which simulate ``short_s``, ``middle_s`` and the whole trace.

    Attributes:
        kinds: policy kinds to try.
        max_misses: share of requests that may miss the objective.
        trials: number of trials on the short rung.
        middle: number of trials on the middle rung.
        finalists: number of trials on the whole trace.
        short_s: simulated time on the short rung.
        middle_s: simulated time on the middle rung.
        step_s: bin width in the simulated trace.
        workers: number of processes.
        seed: the seed for all random choices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kinds: tuple[str, ...]
    max_misses: float = Field(default=0.01, gt=0, lt=1)
    trials: int = Field(default=1000, ge=1, le=1_000_000)
    middle: int = Field(default=50, ge=1)
    finalists: int = Field(default=6, ge=1)
    short_s: float = Field(default=1800.0, ge=60)
    middle_s: float = Field(default=7200.0, ge=60)
    step_s: float = Field(default=10.0, ge=0.1)
    workers: int = Field(default=2, ge=1, le=256)
    seed: int = Field(default=0, ge=0)


def open_study(journal: Path, searched: str, options: TuneOptions) -> "optuna.Study":
    """Open the study for a search, or create it.

    Args:
        journal: the journal file.
        searched: the hash that ``identity`` returns.
        options: the search options.

    Raises:
        AutoscaleError: the journal belongs to another search, or cannot be used.
    """
    import optuna
    from optuna.storages import JournalStorage

    from autoscale.tuner.journal import Journal

    optuna.logging.set_verbosity(logging.WARNING)
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=JournalStorage(Journal(journal)),
            study_name="rankway",
            directions=["minimize", "minimize"],
            sampler=optuna.samplers.NSGAIISampler(seed=options.seed, population_size=50),
            load_if_exists=True,
        )
    except (OSError, ValueError, KeyError) as error:
        raise AutoscaleError(
            f"{journal}: cannot be used as a journal: {error!r}; name another journal, or remove this one"
        ) from error
    stored = study.user_attrs.get("search", searched)
    if stored != searched:
        raise AutoscaleError(
            f"{journal}: belongs to a search with another pipeline, trace or options; name another journal, or "
            f"remove this one"
        )
    study.set_user_attr("search", searched)
    return study


def identity(spec: PipelineSpec, base: AutoscalingConfig, counts: BinnedTrace, options: TuneOptions) -> str:
    """Return a hash of the search. The numbers of trials and workers are left out, so they may change later."""
    searched = options.model_dump(exclude={"trials", "middle", "finalists", "workers"})
    digest = hashlib.sha256(repr((spec, base.model_dump(), searched)).encode())
    digest.update(counts.counts.requests.tobytes() + counts.counts.candidates.tobytes())
    return digest.hexdigest()[:16]


def scores_of(study: "optuna.Study", rung: str) -> dict[int, Score]:
    """Return a rung's scores by trial number."""
    if rung == "short":
        return {t.number: (t.values[0], t.values[1]) for t in study.trials if t.values is not None}
    return {
        int(name.partition(":")[2]): (score[0], score[1])
        for name, score in study.user_attrs.items()
        if name.startswith(f"{rung}:")
    }


class _FinishedTrial:
    """A finished trial, which returns its stored values."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return float(self._params[name])

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self._params[name])

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self._params[name]


def config_of(
    study: "optuna.Study", number: int, base: AutoscalingConfig, options: TuneOptions
) -> AutoscalingConfig:
    """Return a finished trial's configuration."""
    config = suggested(_FinishedTrial(study.trials[number].params), list(options.kinds), base)
    assert config is not None, "a trial that was simulated has a configuration"
    return config
