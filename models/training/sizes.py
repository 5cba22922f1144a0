"""Builds architecture options from the YAML, and adds the features' shapes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from models.architectures.options import (
    HistoryRankerOptions,
    HyperRankerOptions,
    ListwiseOptions,
    PooledRankerOptions,
    RankerReads,
)
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.training.config import DistilledTraining, RerankerTraining
from models.training.narrowing import narrowed
from models.training.ranker_config import RankerTraining

Shapes = dict[str, tuple[int, ...]]


def ranker_options(
    config: RankerTraining, features: FeatureSet, catalogue: Catalogue
) -> HistoryRankerOptions:
    """Return the ranker's options.

    Raises:
        TrainingError: a named feature or column does not exist or is unsuitable, or a column is not finite.
    """
    known = _shapes_of(features)
    named = [config.history, *(column.name for column in config.history_values)]
    _expect("user feature", [*named, *([config.profile] if config.profile else [])], known, "user.")
    _expect("context feature", [column.name for column in config.context], known, "context.")
    _expect("feature", [*config.request, *(pair.origin for pair in config.distances)], known)
    _expect("cell feature", config.cells, known, "cell.")
    columns = [pair.place for pair in config.distances]
    _expect("catalogue column", [*columns, *([config.number] if config.number else [])], catalogue.columns)
    return HistoryRankerOptions(
        **config.model_dump(
            exclude={"kind", "items", "number", "profile", "request", "cells", "distances", "size", "fit"}
        ),
        **config.sizes.model_dump(),
        items=_columns(config.items, catalogue),
        distances=config.distances,
        number=None if config.number is None else (config.number, _table_rows(config.number, catalogue)),
        profile=None if config.profile is None else (config.profile, known[f"user.{config.profile}"]),
        request={name: known[name] for name in config.request},
        cells={name: known[f"cell.{name}"] for name in config.cells},
    )


def distilled_options(
    config: DistilledTraining, teacher: HistoryRankerOptions
) -> PooledRankerOptions | HyperRankerOptions:
    """Return options for a small ranker that reads its teacher's features.

    Raises:
        TrainingError: a feature that is left out is not the teacher's, or no item column remains.
    """
    reads = dict(narrowed(RankerReads(**_reads(teacher)), config.without, "training.distilled.without"))
    if config.hyper is not None:
        return HyperRankerOptions(**reads, **config.hyper.model_dump())
    return PooledRankerOptions(**reads, **config.size.model_dump())


def listwise_options(
    config: RerankerTraining, ranker: HistoryRankerOptions, catalogue: Catalogue
) -> ListwiseOptions:
    """Return options for a reranker that reads the ranker's features and further item columns.

    Raises:
        TrainingError: a named column does not exist, or is not finite.
    """
    reads = _reads(ranker)
    reads["items"] = {**reads["items"], **_columns(config.items, catalogue)}
    return ListwiseOptions(**reads, **config.size.model_dump())


def _reads(ranker: HistoryRankerOptions) -> dict[str, Any]:
    return {name: getattr(ranker, name) for name in RankerReads.model_fields}


def _shapes_of(features: FeatureSet) -> Shapes:
    return {
        f"{feature.group}.{feature.name}": feature.shape
        for feature in features.features
        if not feature.is_text
    }


def _table_rows(name: str, catalogue: Catalogue) -> int:
    column = catalogue.columns[name]
    if column.dtype.kind != "i" or column.ndim != 1 or int(column.min()) < 0:
        raise TrainingError(
            f"training.ranker.number: expected a column of integers of 0 or more, got {name!r} of {column.dtype} "
            f"{column.shape[1:]} with minimum {column.min()}; name another column"
        )
    return int(column.max()) + 1


def _columns(names: Iterable[str], catalogue: Catalogue) -> Shapes:
    names = list(names)
    _expect("catalogue column", names, catalogue.columns)
    for name in names:
        if not np.isfinite(catalogue.columns[name]).all():
            raise TrainingError(
                f"training: catalogue column {name} of {catalogue.manifest.name} has NaN or infinite values; "
                f"build the catalogue again"
            )
    return {name: tuple(catalogue.columns[name].shape[1:]) for name in names}


def _expect(kind: str, names: Iterable[str], known: Iterable[str], prefix: str = "") -> None:
    available = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    for name in names:
        if name not in available:
            raise TrainingError(f"training: unknown {kind}, got {name!r}; name one of {', '.join(available)}")
