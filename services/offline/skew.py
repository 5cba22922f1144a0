"""Skew: compare features as they were served with features computed again from the store and the overlay.

The request's context and its time are taken from the log. All other features are read and computed as in
serving, for that time. A difference has one of these reasons:

- The store or the overlay has changed since.
- An event arrived after the list was made.
- Serving and the definitions no longer agree.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.features.definition import Feature, FeatureSet
from models.features.deltas.folder import open_grown
from models.features.sent import ITEM_COLUMNS, SENT
from models.features.sent_table import SentTable
from models.ragged import Column, RaggedArray, RaggedBatch
from models.served_log.reading import read_lists
from models.served_log.schema import PER_CANDIDATE_SOURCES, logged
from models.served_log.writing import ShownLists
from services.config.pipeline import PipelineConfig
from services.stages.context import ContextLayout
from services.stages.features import MISSED, FeaturesStage, load_definitions, open_view
from services.stores import open_store

_CONNECT_LIMIT_S, _CONNECT_PAUSE_S = 5.0, 0.05
_LISTS_AT_ONCE = 64  # as in the service, because the store's time-out is per batch


@dataclass(slots=True)
class FeatureSkew:
    """The result of comparing one feature.

    Attributes:
        values: the count of compared lists. For a candidate feature, the count of compared candidates.
        differing: the count of lists or candidates that differ.
        max_difference: the largest difference between two compared numbers. Sequences with different lengths differ,
            and their newest values are compared.
    """

    feature: str
    values: int = 0
    differing: int = 0
    max_difference: float = 0.0

    @property
    def share(self) -> float:
        """The share of values that differ."""
        return self.differing / self.values if self.values else 0.0

    def widen(self, one: NDArray[Any], other: NDArray[Any]) -> None:
        """Update the largest difference with these values. Differences that are NaN do not count."""
        distances = np.abs(one.astype(np.float64) - other.astype(np.float64))
        self.max_difference = max(self.max_difference, float(np.nan_to_num(distances).max(initial=0.0)))


@dataclass(frozen=True, slots=True)
class SkewReport:
    """The result of comparing a log.

    Attributes:
        lists: the count of compared lists.
        unread: the count of lists that were not compared, because the store did not return their users' features.
        features: a comparison for each feature.
    """

    lists: int
    unread: int
    features: tuple[FeatureSkew, ...]


def skew_report(config: PipelineConfig, home: Path, paths: Sequence[Path]) -> SkewReport:
    """Compare all lists in a log.

    Raises:
        ConfigError: the pipeline's data cannot be used.
        ModelError: the log cannot be used, or was served with other definitions.
    """
    definitions = load_definitions(home / config.features.definitions)
    catalogue = open_grown(settled(home / config.catalogue), home / config.deltas_folder)
    view = open_view(config.features, definitions, catalogue, home)
    shown = read_lists(paths, definitions)
    store = config.features.store
    stage = FeaturesStage(view, None if store is None else open_store(store, home))
    compared = {name: f for name, f in logged(definitions).items() if not _is_sent(f)}
    skews = {name: FeatureSkew(name) for name in compared}
    lists = unread = 0
    try:
        _wait_for_store(stage, definitions)
        for served, users in _parts(shown, catalogue):
            recomputed = stage(_as_received(served, users, definitions))
            missed = recomputed.missed.get(MISSED, np.zeros(len(recomputed), dtype=np.bool_))
            read = np.flatnonzero(~missed)
            unread, lists = unread + len(recomputed) - len(read), lists + len(read)
            # An item that is no longer in the catalogue has neither a cell nor live features.
            comparable = (served.rows >= 0) & ~missed[served.request_of()]
            for name, feature in compared.items():
                if name.startswith(PER_CANDIDATE_SOURCES):
                    one, other = served.candidates[name][comparable], recomputed.candidates[name][comparable]
                    _compare(skews[name], one, other.astype(feature.dtype))
                else:
                    _compare_column(
                        skews[name], feature, served.requests[name], recomputed.requests[name], read
                    )
    finally:
        stage.close()
    return SkewReport(lists, unread, tuple(skews.values()))


def _wait_for_store(stage: FeaturesStage, definitions: FeatureSet) -> None:
    """Wait until the store answers a request, up to the limit.

    The store connects in the background. Without the wait, the first lists would be computed without the store.
    """
    layout = ContextLayout(definitions)
    columns = layout.columns([layout.encode({})])
    empty_user = RaggedBatch(
        offsets=np.zeros(2, dtype=np.int64),
        rows=np.zeros(0, dtype=np.int64),
        requests={f"context.{name}": column for name, column in columns.items()},
        user_keys=[b""],
    )
    until_s = time.monotonic() + _CONNECT_LIMIT_S
    while stage.waits and stage(empty_user).missed and time.monotonic() < until_s:
        time.sleep(_CONNECT_PAUSE_S)


def _is_sent(feature: Feature) -> bool:
    return feature.group == "context" and feature.transform is None


def _parts(shown: ShownLists, catalogue: Catalogue) -> Iterator[tuple[RaggedBatch, list[bytes]]]:
    whole = replace(shown.batch, rows=catalogue.rows_of_keys(shown.keys))
    sent = SentTable.of(shown.sent, whole.offsets, shown.keys)
    if sent is not None:
        whole = sent[0].with_rows(whole.adding(candidates={SENT: sent[1]}))
    for first in range(0, len(whole), _LISTS_AT_ONCE):
        last = min(first + _LISTS_AT_ONCE, len(whole))
        users = [user.encode() for user in shown.user_ids[first:last]]
        part = whole.take(np.arange(first, last))
        yield part if sent is None else sent[0].laid_over(part, catalogue), users


def _as_received(served: RaggedBatch, users: Sequence[bytes], definitions: FeatureSet) -> RaggedBatch:
    """Return the batch as it arrived, with only its context and its sent items."""
    sent = [feature.column for feature in definitions.supplied("context")]
    return RaggedBatch(
        offsets=served.offsets,
        rows=served.rows,
        requests={name: served.requests[name] for name in sent},
        candidates={
            name: column for name, column in served.candidates.items() if name.startswith(ITEM_COLUMNS)
        },
        user_keys=users,
    )


def _compare_column(
    skew: FeatureSkew, feature: Feature, one: Column, other: Column, requests: NDArray[np.int64]
) -> None:
    if isinstance(one, RaggedArray) and isinstance(other, RaggedArray):
        for request in requests:
            _compare_sequence(skew, one[request], other[request].astype(feature.dtype))
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        _compare(skew, one[requests], other[requests].astype(feature.dtype))


def _compare(skew: FeatureSkew, one: NDArray[Any], other: NDArray[Any]) -> None:
    """Compare (N, ...) values."""
    skew.values += len(one)
    skew.differing += int(_differ(one, other).any(axis=tuple(range(1, one.ndim))).sum())
    skew.widen(one, other)


def _compare_sequence(skew: FeatureSkew, one: NDArray[Any], other: NDArray[Any]) -> None:
    common = min(len(one), len(other))
    newest, other_newest = one[len(one) - common :], other[len(other) - common :]
    skew.values += 1
    skew.differing += len(one) != len(other) or bool(_differ(newest, other_newest).any())
    skew.widen(newest, other_newest)


def _differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((one != other) & ~(np.isnan(one) & np.isnan(other)))
