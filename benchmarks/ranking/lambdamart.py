"""LightGBM's LambdaMART (Burges 2010, MSR-TR-2010-82) on the ranker's training lists.

Settings are searched on the last tenth of these lists, and the boosting rounds come from early stopping there.
Then the model is fitted again on all lists with those settings and rounds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ranking.flat import FlatFeatures
from benchmarks.ranking.results import Labelled, Ranking
from models.ragged import RaggedBatch
from models.training.metrics import ndcg

SETTINGS: tuple[dict[str, Any], ...] = (
    {"num_leaves": 31, "min_data_in_leaf": 100},
    {"num_leaves": 127, "min_data_in_leaf": 100},
    {"num_leaves": 63, "min_data_in_leaf": 500, "feature_fraction": 0.5},
)
ROUNDS, PATIENCE = 400, 30
LEARNING_RATE = 0.1
HELD_OUT = 0.1
GRADES = 20
"""A relevance of 1 is this grade, as lambdarank needs whole numbers. The gain stays linear."""


@dataclass(frozen=True)
class LambdaMart:
    """A fitted model: its ranking, the chosen settings and rounds, and how many lists it was fitted on."""

    rank: Ranking
    setting: dict[str, Any]
    lists: int


def fit_lambdamart(train: Labelled, features: FlatFeatures, *, threads: int, seed: int) -> LambdaMart:
    """Search the settings and fit the model. The lists must be ordered by time."""
    import lightgbm as lgb

    batch, labels = train
    rows, grades = features(batch), np.rint(labels * GRADES).astype(np.int32)
    first = int(len(batch) * (1.0 - HELD_OUT))
    split, sizes = int(batch.offsets[first]), np.diff(batch.offsets)
    fixed = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "label_gain": list(range(GRADES + 1)),
        "lambdarank_truncation_level": 30,
        "learning_rate": LEARNING_RATE,
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    fit_set = lgb.Dataset(rows[:split], grades[:split], group=sizes[:first], free_raw_data=False)
    held_out = lgb.Dataset(
        rows[split:], grades[split:], group=sizes[first:], reference=fit_set, free_raw_data=False
    )
    results: list[tuple[float, int, dict[str, Any]]] = []
    for setting in SETTINGS:
        stop = lgb.early_stopping(PATIENCE, verbose=False)
        booster = lgb.train(
            {**fixed, **setting}, fit_set, num_boost_round=ROUNDS, valid_sets=[held_out], callbacks=[stop]
        )
        scores = _predict(booster, rows[split:])
        score = ndcg(scores, labels[split:], batch.offsets[first:] - split)
        results.append((score, booster.best_iteration or ROUNDS, setting))
    _, rounds, setting = max(results, key=lambda result: result[0])
    full_set = lgb.Dataset(rows, grades, group=sizes)
    booster = lgb.train({**fixed, **setting}, full_set, num_boost_round=rounds)

    def rank(lists: RaggedBatch) -> NDArray[np.float32]:
        return _predict(booster, features(lists))

    return LambdaMart(rank, {**setting, "rounds": rounds}, len(batch))


def _predict(booster: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(booster.predict(rows), dtype=np.float32)
