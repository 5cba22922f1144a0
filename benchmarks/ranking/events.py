"""Next-item and next-basket ranking over an event log's full catalogue, with a global temporal split.

The protocol is successive evaluation as in Gusak et al. 2025 (arXiv:2507.16289). The catalogue is ranked at each moment
of the test period at which a user with a past chose something. The input is the past just before the moment. Models are
not trained on the test period.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ranking.baselines import (
    Candidate,
    Fitting,
    ease,
    item_knn,
    matrix_factorisation,
    most_bought,
    popularity,
)
from benchmarks.ranking.results import METRICS, PER_LIST, Labelled, Ranking, measure, measured, table_of
from benchmarks.ranking.seeds import trained_rankers
from benchmarks.ranking.trained import ranking_of
from models.datasets import read_events
from models.datasets.build import EventData
from models.datasets.config import EventsConfig
from models.datasets.events import EventLog, cut
from models.features.catalogue import Catalogue, item_key
from models.features.timelines import ItemTimelines
from models.impressions import read_impressions
from models.training.examples.negative_sampling import over_catalogue
from models.training.examples.usable_lists import in_memory
from models.training.loop import Progress
from services.config.pipeline import PipelineConfig

BLOCK = 256
RANKER = "ranker"
SEARCHED_ON = 1000
"""Validation moments, evenly spaced in time, on which a baseline's settings are chosen."""


@dataclass(frozen=True)
class EventSplit:
    """One part's moments: the batch with labels for the chosen items, and each moment's user."""

    batch: Labelled
    users: NDArray[np.int64]

    def thinned(self, count: int) -> "EventSplit":
        """Return at most ``count`` moments, evenly spaced in time."""
        batch, labels = self.batch
        if len(batch) <= count:
            return self
        rows = np.linspace(0, len(batch) - 1, count).astype(np.int64)
        part = batch.adding(candidates={"label": labels}).take(rows)
        return EventSplit((part, part.candidates["label"]), self.users[rows])


@dataclass(frozen=True)
class EventEvaluation:
    """Evaluates rankings over a built event set's whole catalogue.

    Attributes:
        repeats: whether items that the user has chosen before are ranked again.
    """

    catalogue: Catalogue
    repeats: bool

    def split(self, root: Path) -> EventSplit:
        """Read one part's moments."""
        batch, labels = read_impressions(
            root,
            feature_hash=self.catalogue.manifest.feature_hash,
            keys_to_rows=self.catalogue.rows_of_keys,
        )
        return EventSplit((in_memory(batch), labels), np.load(root / "user.npy"))

    def judge(self, rank: Ranking, split: EventSplit) -> PER_LIST:
        """Rank the catalogue at every moment of a part, and return each moment's metrics."""
        return measured([measure(rank(batch), labels, batch.offsets) for batch, labels in self.blocks(split)])

    def blocks(self, split: EventSplit) -> Iterator[Labelled]:
        """Yield the moments with the whole catalogue as candidates, one block at a time."""
        chosen, labels = split.batch
        chosen = chosen.adding(candidates={"label": labels})
        for start in range(0, len(chosen), BLOCK):
            part = chosen.take(np.arange(start, min(start + BLOCK, len(chosen))))
            yield over_catalogue(
                part, part.candidates["label"], self.catalogue, history="history", repeats=self.repeats
            )


def fitting_of(log: EventLog, config: EventsConfig, catalogue: Catalogue) -> Fitting:
    """Return a log's training period: its events before validation begins."""
    training = cut(log, config.train_share, config.valid_share).parts(log.at_s)["train"]
    rows = catalogue.rows_of_keys(np.array([item_key(item) for item in log.item_ids], dtype=np.int64))
    return Fitting(catalogue, log.user[training], rows[log.item[training]], log.at_s[training])


def search(
    evaluation: EventEvaluation, candidates: Iterator[Candidate], valid: EventSplit
) -> tuple[Candidate, float]:
    """Return the candidate with the best NDCG@10 on the validation moments, and that NDCG@10."""
    results = ((float(np.nanmean(evaluation.judge(c.rank, valid)["ndcg_at_10"])), c) for c in candidates)
    best, candidate = max(results, key=lambda pair: pair[0])
    return candidate, best


def baselines(
    log: EventLog, evaluation: EventEvaluation, config: EventsConfig, valid: EventSplit, *, seed: int
) -> dict[str, Candidate]:
    """Return each baseline with the setting that the search chose."""
    fitting = fitting_of(log, config, evaluation.catalogue)
    families = [popularity(fitting), item_knn(fitting), matrix_factorisation(fitting, seed), ease(fitting)]
    families += [most_bought(fitting)] if log.repeats else []
    chosen = (search(evaluation, family, valid.thinned(SEARCHED_ON))[0] for family in families)
    return {candidate.name: candidate for candidate in chosen}


def events_quality(
    pipeline: PipelineConfig, home: Path, *, seeds: int, threads: int, progress: Progress
) -> dict[str, Any]:
    """Train missing models, evaluate models and baselines on the test period, and return the table and the protocol.

    In the table, the ranker was trained with the first seed, the pipeline's own. ``seeds`` has the means for each seed.

    Raises:
        ArtifactError: the event set is not installed.
        TrainingError: a training failed.
    """
    assert pipeline.training is not None
    config, over = pipeline.training.events, pipeline.training.over_catalogue
    assert config is not None and over is not None
    rankers = list(trained_rankers(pipeline, home, seeds, progress))
    data = EventData((home / pipeline.catalogue).parent)
    evaluation = EventEvaluation(Catalogue.open(data.catalogue), over.repeats)
    timelines = ItemTimelines.open(data.timelines, evaluation.catalogue)
    valid, test = (evaluation.split(data.impressions / part) for part in ("valid", "test"))
    progress(f"{pipeline.name}: baselines", 0, 1)
    chosen = baselines(read_events(config), evaluation, config, valid, seed=pipeline.training.seed)
    progress(f"{pipeline.name}: baselines", 1, 1)
    methods: dict[str, PER_LIST] = {}
    by_seed: dict[int, dict[str, float]] = {}
    for seed, root in rankers:
        rank = ranking_of(root, evaluation.catalogue, threads=threads, timelines=timelines)
        per_list = evaluation.judge(rank, test)
        methods.setdefault(RANKER, per_list)
        by_seed[seed] = {name: float(np.nanmean(values)) for name, values in per_list.items()}
    methods |= {name: evaluation.judge(one.rank, test) for name, one in chosen.items()}
    random = np.random.default_rng(pipeline.training.seed)
    methods["random"] = evaluation.judge(
        lambda batch: random.random(batch.candidate_count, dtype=np.float32), test
    )
    return {
        "protocol": json.loads(data.manifest.read_text()) | {"seen_items_are_ranked": over.repeats},
        "seeds": by_seed,
        "settings": {name: one.setting for name, one in chosen.items()},
        "methods": table_of(methods, test.users, ours=RANKER, metrics=tuple(METRICS)),
    }
