"""Read the served log: shown lists in time order, with each candidate's relevance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.errors import ArtifactError, FeatureMismatch
from models.features.definition import FeatureSet
from models.ragged import Column, RaggedArray, RaggedBatch
from models.served_log.kinds import FeedbackConfig
from models.served_log.relevance import relevance_of, strings
from models.served_log.schema import (
    FEATURE_HASH,
    FEEDBACK,
    KIND,
    LISTS,
    PER_CANDIDATE_SOURCES,
    SENT,
    feedback_schema,
    lists_schema,
    logged,
)
from models.served_log.sent import expect_sent, sent_of
from models.served_log.writing import ShownLists


def read_log(
    paths: Sequence[Path], features: FeatureSet, feedback: FeedbackConfig
) -> tuple[ShownLists, NDArray[np.float32]]:
    """Read all lists, oldest first, and their candidates' relevance.

    A list that was logged twice is read once. Feedback is ignored if its list is not in the log, or if its item was not
    in the list.

    Args:
        paths: files, or folders with ``*.parquet``.
        features: the definitions with which the lists must have been served.
        feedback: the kinds of feedback, with the relevance of each.

    Returns:
        The lists, with all catalogue rows -1 (unknown), and the relevance, float32 (N,).

    Raises:
        ArtifactError: there are no lists, a file is damaged or not a log, or feedback has a kind that is not declared.
        FeatureMismatch: lists were served with other feature definitions.
    """
    lists, events = _tables(paths, features)
    for path, table in events:
        _expect_known(path, table, feedback)
    shown = _shown_lists(paths, lists, features)
    tables = [feedback_schema().empty_table(), *(table for _, table in events)]
    return shown, relevance_of(shown, pa.concat_tables(tables), feedback)


def read_lists(paths: Sequence[Path], features: FeatureSet) -> ShownLists:
    """Read all lists, oldest first, without the feedback. Arguments and errors are as for ``read_log``."""
    return _shown_lists(paths, _tables(paths, features)[0], features)


def _tables(
    paths: Sequence[Path], features: FeatureSet
) -> tuple[list[pa.Table], list[tuple[Path, pa.Table]]]:
    """Return the tables with lists, and those with feedback by path."""
    lists: list[pa.Table] = []
    feedback: list[tuple[Path, pa.Table]] = []
    for path in log_files(paths):
        kind, table = _read(path, features)
        if kind == LISTS:
            lists.append(table)
        else:
            feedback.append((path, table))
    return lists, feedback


def _shown_lists(paths: Sequence[Path], lists: Sequence[pa.Table], features: FeatureSet) -> ShownLists:
    if not lists:
        raise ArtifactError(
            f"no shown lists in {', '.join(map(str, paths))}; name files or folders that a service has logged"
        )
    table = pa.concat_tables(lists)
    first = np.unique(strings(table["request_id"]), return_index=True)[1]
    order = first[np.argsort(table["at_s"].to_numpy()[first], kind="stable")]
    return _shown(table.take(order), features)


def log_files(paths: Sequence[Path]) -> list[Path]:
    """Return a log's files, in the order of the paths, then by name.

    Raises:
        ArtifactError: a path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ArtifactError(f"no log at {path}; name a Parquet file, or a folder with Parquet files")
        files += sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    return files


def _read(path: Path, features: FeatureSet) -> tuple[bytes, pa.Table]:
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        kind = metadata.get(KIND, b"")
        if kind == LISTS:
            _expect_features(path, metadata.get(FEATURE_HASH, b"").decode(), features)
            if SENT not in table.column_names:  # the log of an older version
                table = table.append_column(SENT, pa.nulls(len(table), pa.large_binary()))
            table = table.select(lists_schema(features).names).cast(lists_schema(features))
        elif kind == FEEDBACK:
            table = table.select(feedback_schema().names).cast(feedback_schema())
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path} cannot be read as a log: {error}; leave it out, or copy it again"
        ) from error
    if kind not in {LISTS, FEEDBACK}:
        raise ArtifactError(
            f"{path} is neither shown lists nor feedback; name files that a service has logged"
        )
    if kind == LISTS:
        expect_sent(path, table)
    return kind, table


def _expect_features(path: Path, served: str, features: FeatureSet) -> None:
    if served != features.content_hash:
        raise FeatureMismatch(
            f"{path}: the lists were served with feature hash {served}, but this pipeline has "
            f"{features.content_hash}; train from lists that were served with these definitions"
        )


def _shown(table: pa.Table, features: FeatureSet) -> ShownLists:
    keys, offsets = _lists(table["keys"])
    requests: dict[str, Column] = {}
    candidates: dict[str, NDArray[Any]] = {}
    for name, feature in logged(features).items():
        if name.startswith(PER_CANDIDATE_SOURCES):
            candidates[name] = _lists(table[name])[0].reshape(-1, *feature.shape)
        elif feature.ragged:
            values, value_offsets = _lists(table[name])
            requests[name] = RaggedArray(values.reshape(-1, *feature.shape), value_offsets)
        else:
            requests[name] = _flat(table[name].combine_chunks()).reshape(-1, *feature.shape)
    batch = RaggedBatch(
        offsets=offsets,
        rows=np.full(len(keys), -1, dtype=np.int64),
        requests=requests,
        candidates=candidates,
    )
    return ShownLists(
        batch=batch,
        keys=keys,
        scores=_lists(table["scores"])[0],
        positions=_lists(table["positions"])[0],
        request_ids=table["request_id"].to_pylist(),
        user_ids=table["user_id"].to_pylist(),
        at_s=table["at_s"].to_numpy(),
        sent=sent_of(table[SENT]),
    )


def _lists(column: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
    whole = column.combine_chunks()
    offsets = whole.offsets.to_numpy()
    return _flat(whole.flatten()), offsets - offsets[0]


def _flat(array: pa.Array) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _expect_known(path: Path, feedback: pa.Table, config: FeedbackConfig) -> None:
    kinds = pc.unique(feedback["event"]).to_pylist()
    unknown = sorted(set(kinds) - set(config.kinds))
    if unknown:
        row = pc.index(feedback["event"], unknown[0]).as_py()
        raise ArtifactError(
            f"{path}: row {row} has a kind of feedback that the pipeline does not declare, got {unknown[0]!r}; add it "
            f"to feedback.kinds ({', '.join(config.kinds) or 'empty'}), with the relevance 0 to ignore it"
        )
