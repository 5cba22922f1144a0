"""Fits the trees of a LambdaMART ranker with LightGBM."""

import math
from typing import Any

import numpy as np

from models.errors import TrainingError
from models.training.config import TrainingConfig
from models.training.ranker_config import LambdaMartTraining
from models.training.vector_lists import ListsInMemory, Progress

_GRADES = 20
"""Grades for labels from 0 to the largest, because lambdarank needs whole numbers. Their gain stays linear."""


def fit_trees(
    train: ListsInMemory,
    select: ListsInMemory,
    ranker: LambdaMartTraining,
    config: TrainingConfig,
    names: list[str],
    progress: Progress,
) -> tuple[str, int]:
    """Fit trees to lists.

    Args:
        train: lists to which the trees are fitted.
        select: lists that decide when to stop.
        ranker: number and size of the trees.
        config: threads and seed.
        names: F names of the vector's features.
        progress: called after each tree.

    Returns:
        The model as LightGBM's text, and its number of trees.

    Raises:
        TrainingError: LightGBM refuses the data.
    """
    import lightgbm as lgb

    highest = float(train.labels.max())

    def dataset(split: ListsInMemory, reference: Any = None) -> Any:
        grades = np.rint(np.minimum(split.labels / highest, 1.0) * _GRADES).astype(np.int32)
        return lgb.Dataset(
            split.vectors, grades, group=np.diff(split.offsets), feature_name=names, reference=reference
        )

    def report(state: Any) -> None:
        score = state.evaluation_result_list[0][2] if state.evaluation_result_list else math.nan
        progress("ranker", state.iteration + 1, ranker.trees, f"NDCG@10 {score:.4f}")

    fit = dataset(train)
    options = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "label_gain": list(range(_GRADES + 1)),
        "num_leaves": ranker.leaves,
        "min_data_in_leaf": ranker.min_rows,
        "learning_rate": ranker.learning_rate,
        "num_threads": config.threads,
        "seed": config.seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    stop = lgb.early_stopping(ranker.patience, verbose=False)
    try:
        booster = lgb.train(
            options,
            fit,
            num_boost_round=ranker.trees,
            valid_sets=[dataset(select, fit)],
            callbacks=[stop, report],
        )
    except lgb.basic.LightGBMError as error:
        raise TrainingError(f"training.ranker: LightGBM cannot train on these data: {error}") from error
    best = booster.best_iteration or booster.num_trees()
    return str(booster.model_to_string(num_iteration=best)), int(best)
