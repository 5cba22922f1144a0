"""The rows of impression files: shown items with their outcomes, joined to lists."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.datasets.files.event_rows import relevance_of_kinds
from models.datasets.files.flattening import flattened
from models.datasets.files.ids import Ids
from models.datasets.files.problems import BadRows, Part
from models.datasets.files.progress import Progress
from models.datasets.files.shown_join import ShownRows
from models.datasets.files.tables import Table
from models.datasets.files.times import times_of, zone_of
from models.datasets.files.values import ids_of, numbers_of, texts_of
from models.datasets.shown_config import ImpressionsConfig
from models.errors import ArtifactError

_MOST_POSITION = 1_000_000_000
_NO_LABELS = pa.array(["true", "false"])


def read_shown_rows(
    table: Table, config: ImpressionsConfig, users: Ids, items: Ids, bad: BadRows, progress: Progress
) -> ShownRows:
    """Read the shown items. Their users and items are added to ``users`` and ``items``.

    Raises:
        ArtifactError: a file cannot be read, a row is bad and bad rows are not skipped, or no item has a
            relevance above 0.
    """
    if config.format.zone is not None:
        zone_of(config.format.zone)
    lists, unknown = Ids(), BadRows(skip=True)
    origins: list[tuple[Part, NDArray[np.int32]]] = []
    arrays: dict[str, list[NDArray[np.float64]]] = {"at_s": [], "position": [], "relevance": []}
    for part in _flat_parts(table, config, bad):
        user, good = ids_of(part, config.user, bad)
        item, fits = ids_of(part, config.item, bad)
        good &= fits
        shown = None
        if config.list is not None:
            shown, fits = ids_of(part, config.list, bad)
            good &= fits
        at_s, fits = times_of(part, config.time, config.format, bad)
        good &= fits
        position, fits = _positions(part, config, bad)
        good &= fits
        relevance, fits = _relevance(part, config, unknown, bad)
        good &= fits
        mask = pa.array(good)
        users.add(user.filter(mask))
        items.add(item.filter(mask))
        if shown is not None:
            lists.add(shown.filter(mask))
        for name, values in (("at_s", at_s), ("position", position), ("relevance", relevance)):
            arrays[name].append(values[good])
        empty = part.data.slice(0, 0)
        origins.append((replace(part, data=empty), np.flatnonzero(good).astype(np.int32)))
        progress("reading the impressions", part.done, table.bytes)
    bad.notes += [
        f"{count:,} rows count as shown only: {problem}" for problem, count in unknown.counts.items()
    ]
    joined = {name: np.concatenate([np.empty(0), *chunks]) for name, chunks in arrays.items()}
    if not (joined["relevance"] > 0).any():
        raise ArtifactError(
            f"{table.location}: must have shown items with a label above 0, got none in {len(joined['at_s']):,} rows "
            f"that can be used; name another column under training.events.impressions"
        )
    codes = lists.numbered()[1] if config.list is not None else np.full(len(joined["at_s"]), -1)
    relevance32 = joined["relevance"].astype(np.float32)
    return ShownRows(codes.astype(np.int64), joined["at_s"], joined["position"], relevance32, tuple(origins))


def _flat_parts(table: Table, config: ImpressionsConfig, bad: BadRows) -> Iterator[Part]:
    """Yield the rows, one for each shown item."""
    named = (config.list, config.user, config.item, config.time, config.position, config.label, config.kind)
    others = [name for name in (config.time, config.position, config.label, config.kind) if name is not None]
    for part in table.parts([name for name in named if name is not None], bad):
        yield flattened(part, config.item, others, bad)


def _positions(
    part: Part, config: ImpressionsConfig, bad: BadRows
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if config.position is None:
        unknown = np.full(part.data.num_rows, np.nan)
        if part.origin is not None:  # the order in the list
            starts = np.flatnonzero(np.diff(part.origin, prepend=-1))
            lengths = np.diff(np.append(starts, len(part.origin)))
            unknown = (np.arange(len(part.origin)) - np.repeat(starts, lengths)).astype(np.float64)
        return unknown, np.ones(part.data.num_rows, dtype=np.bool_)
    numbers, good = numbers_of(part, config.position, bad)
    wrong = good & ~np.isnan(numbers)
    wrong &= (numbers != np.floor(numbers)) | (numbers < 0) | (numbers > _MOST_POSITION)
    problem = "must be a whole number of 0 or more"
    bad.report(part, wrong, config.position, problem, "correct it, or leave it empty",
               part.data.column(config.position))  # fmt: skip
    return numbers, good & ~wrong


def _relevance(
    part: Part, config: ImpressionsConfig, unknown: BadRows, bad: BadRows
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if config.kind is not None:
        kinds = texts_of(part, config.kind, bad)
        found = relevance_of_kinds(kinds, config.kinds, "training.events.impressions.kinds", unknown)
        return np.nan_to_num(found.astype(np.float64), nan=0.0), np.ones(len(found), dtype=np.bool_)
    assert config.label is not None
    numbers, good = numbers_of(_without_words(part, config.label, bad), config.label, bad)
    wrong = good & ~np.isnan(numbers) & ~((numbers >= 0) & (numbers <= config.highest))
    bad.report(part, wrong, config.label, f"must be from 0 to {config.highest:g}",
               "correct it, or set training.events.impressions.highest", part.data.column(config.label))  # fmt: skip
    return np.nan_to_num(numbers, nan=0.0) / config.highest, good & ~wrong


def _without_words(part: Part, column: str, bad: BadRows) -> Part:
    """Return the part with 1 and 0 for the texts true and false."""
    kind = part.data.column(column).type
    if not (pa.types.is_binary(kind) or pa.types.is_string(kind)):
        return part
    texts = texts_of(part, column, bad)
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    words = pc.is_in(lower, value_set=_NO_LABELS)
    if not pc.any(words).as_py():
        return part
    digits = pc.if_else(pc.equal(lower, "true"), "1", "0")
    replaced = pc.if_else(words, digits, texts)
    index = part.data.schema.get_field_index(column)
    return replace(part, data=part.data.set_column(index, column, replaced))
