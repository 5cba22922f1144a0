"""Bulk loads into a store. An interrupted load continues where it stopped, if the store still has the written rows.

A load's progress is recorded in two places. The checkpoint next to the source has the position to continue from, and
the number of parts written so far. The store has a mark for each part. If marks are missing, the load starts over.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from services.errors import StoreFailed, StoreLost
from services.stores.base import StoreWriter
from services.stores.sources import RowSource

_SHOWN_FAULTS = 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """A load's progress.

    Attributes:
        load: the load's id in the store.
        parts: the count of written parts.
        position: where the source continues. None is the beginning.
        done: the count of rows that were written or refused.
        refused: the count of rows that were refused.
        is_through: whether all of the source's rows are done.
    """

    load: str
    parts: int = 0
    position: Any = None
    done: int = 0
    refused: int = 0
    is_through: bool = False


@dataclass(slots=True)
class LoadReport:
    """The result of a load. All counts are in rows.

    Attributes:
        written: written by this call.
        resumed: done by an earlier call.
        lost: done by an earlier call and again by this call, because the store had lost some rows, or because an
            earlier source was loaded from its beginning.
        refused: refused by this call or an earlier one.
        faults: a line for each of the first 20 rows that this call refused.
    """

    written: int = 0
    resumed: int = 0
    lost: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


class LoadCheckpoint:
    """The file ``path``, next to a load's source, with the progress. It is removed when the load is complete."""

    def __init__(self, source: Path, stamp: str) -> None:
        """Keep the path of the file.

        Args:
            source: the file or folder that is loaded.
            stamp: identifies the source's content and the store. If it differs from the recorded stamp, the load
                starts over.
        """
        source = source.resolve()  # "." has no name
        self.path = source.parent / f".{source.name}.loading"
        self._stamp = stamp

    def read(self) -> LoadProgress | None:
        """Return the recorded progress, or None if there is none for this stamp."""
        try:
            saved = json.loads(self.path.read_text())
            if saved["stamp"] != self._stamp:
                return None
            return LoadProgress(
                str(saved["load"]),
                int(saved["parts"]),
                saved["position"],
                int(saved["done"]),
                int(saved["refused"]),
                bool(saved["is_through"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, reached: LoadProgress) -> None:
        """Replace the recorded progress in one atomic step.

        Raises:
            StoreFailed: the file cannot be written.
        """
        temporary = self.path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps({"stamp": self._stamp, **asdict(reached)}))
            os.replace(temporary, self.path)
        except OSError as error:
            raise StoreFailed(f"{self.path} cannot be written ({error}); make its folder writable") from error

    def clear(self) -> None:
        """Remove the recorded progress."""
        self.path.unlink(missing_ok=True)


def load(
    source: RowSource, writer: StoreWriter, checkpoint: LoadCheckpoint, progress: Progress
) -> LoadReport:
    """Load one source. The errors are as for ``load_all``."""
    (loaded,) = load_all([(source, checkpoint, progress)], writer)
    return loaded


def load_all(
    sources: Iterable[tuple[RowSource, LoadCheckpoint, Progress]], writer: StoreWriter
) -> list[LoadReport]:
    """Write all sources' rows. Rows that cannot be read are reported and skipped.

    Args:
        sources: each source with its checkpoint and a function that reports progress. The function gets the counts of
            done rows and of all rows.
        writer: the store.

    Returns:
        A report for each source.

    Raises:
        StoreFailed: the store accepts no more rows. A further call with the same sources continues from there.
        StoreLost: the store has lost rows that were written before. A further call with the same sources starts over.
    """
    loads: list[LoadReport] = []
    through: list[tuple[LoadProgress, LoadCheckpoint]] = []
    begins = False
    try:
        for source, checkpoint, progress in sources:
            # Later sources' rows replace those of earlier sources. If a source is loaded from its beginning, all later
            # sources must also be loaded from theirs.
            loaded, reached = _load(source, writer, checkpoint, progress, begins=begins)
            begins = begins or not loaded.resumed
            loads.append(loaded)
            through.append((reached, checkpoint))
        # Check at the end, because the store may lose the first source's rows while the last source is loaded.
        if not all(writer.holds_parts(reached.load, reached.parts) for reached, _ in through):
            for reached, checkpoint in through:
                checkpoint.clear()
                with suppress(StoreFailed):
                    writer.end_load(reached.load)
            raise StoreLost(
                "the store lost rows before the load had ended; run the load again, which starts over"
            )
    except StoreLost:
        for _, checkpoint in through:
            checkpoint.clear()
        raise
    for reached, checkpoint in through:
        writer.end_load(reached.load)
        checkpoint.clear()
    return loads


def _load(
    source: RowSource, writer: StoreWriter, checkpoint: LoadCheckpoint, progress: Progress, *, begins: bool
) -> tuple[LoadReport, LoadProgress]:
    loaded = LoadReport()
    reached = checkpoint.read()
    if reached is not None and (begins or not writer.holds_parts(reached.load, reached.parts)):
        checkpoint.clear()
        with suppress(StoreFailed):
            writer.end_load(reached.load)
        loaded.lost, reached = reached.done, None
    reached = reached or LoadProgress(writer.begin_load())
    loaded.resumed, loaded.refused = reached.done, reached.refused
    try:
        progress(reached.done, source.total)
        if reached.is_through:
            return loaded, reached
        for part in source.parts(reached.position):
            loaded.written += writer.write_part(reached.load, reached.parts + 1, part.rows)
            loaded.refused += len(part.faults)
            loaded.faults += part.faults[: _SHOWN_FAULTS - len(loaded.faults)]
            updated = LoadProgress(reached.load, reached.parts + 1, part.position, part.done, loaded.refused)
            checkpoint.write(updated)
            reached = updated
            progress(part.done, source.total)
    except BaseException as error:
        if isinstance(error, StoreLost) or reached.parts == 0:  # there is nothing to continue from
            checkpoint.clear()
            with suppress(StoreFailed):
                writer.end_load(reached.load)
        raise
    reached = replace(reached, is_through=True)
    checkpoint.write(reached)
    return loaded, reached
