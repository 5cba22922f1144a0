"""Loading a store in bulk; a load that was cut off goes on where it was, if the store still has what was written.

How far a load has come is known twice. The checkpoint beside the source says where to go on, and how many parts were
written until there. The store has a mark for each part. If marks are missing, the load starts over.
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
    """How far a load has come. load: its id in the store. done: rows that were taken or refused.

    refused: rows that were refused. is_through: nothing is left to load.
    """

    load: str
    parts: int = 0
    position: Any = None
    done: int = 0
    refused: int = 0
    is_through: bool = False


@dataclass(slots=True)
class LoadReport:
    """What a load did. resumed: rows that an earlier one had dealt with. faults: the first rows refused.

    lost: rows that an earlier one had dealt with, and that are dealt with again, as the store has lost some of them.
    """

    written: int = 0
    resumed: int = 0
    lost: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


class LoadCheckpoint:
    """How far a load has come, in a file beside its source until it is through."""

    def __init__(self, source: Path, stamp: str) -> None:
        """stamp: of the source and the store; where it is another, the load begins anew."""
        source = source.resolve()  # "." has no name
        self.path = source.parent / f".{source.name}.loading"
        self._stamp = stamp

    def read(self) -> LoadProgress | None:
        """Return how far the load has come; None at the beginning."""
        try:
            kept = json.loads(self.path.read_text())
            if kept["stamp"] != self._stamp:
                return None
            return LoadProgress(
                str(kept["load"]),
                int(kept["parts"]),
                kept["position"],
                int(kept["done"]),
                int(kept["refused"]),
                bool(kept["is_through"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, reached: LoadProgress) -> None:
        """Keep it, whole or not at all.

        Raises:
            StoreFailed: the folder cannot be written.
        """
        fresh = self.path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"stamp": self._stamp, **asdict(reached)}))
            os.replace(fresh, self.path)
        except OSError as error:
            raise StoreFailed(f"{self.path} cannot be written ({error}); make its folder writable") from error

    def clear(self) -> None:
        """The load is through."""
        self.path.unlink(missing_ok=True)


def load(
    source: RowSource, writer: StoreWriter, checkpoint: LoadCheckpoint, progress: Progress
) -> LoadReport:
    """Load one source, as ``load_all`` does."""
    (loaded,) = load_all([(source, checkpoint, progress)], writer)
    return loaded


def load_all(
    sources: Iterable[tuple[RowSource, LoadCheckpoint, Progress]], writer: StoreWriter
) -> list[LoadReport]:
    """Write the rows of all sources; those that cannot be read are named and left out.

    progress: hears how many rows of how many were dealt with.

    Raises:
        StoreFailed: the store takes no more; the same call goes on from there. StoreLost: it has lost rows that were
            written before; the same call starts over.
    """
    loads: list[LoadReport] = []
    through: list[tuple[LoadProgress, LoadCheckpoint]] = []
    begins = False
    try:
        for source, checkpoint, progress in sources:
            # Rows of a later source replace those of an earlier one. So if one is loaded from its beginning, all
            # that come after it are.
            loaded, reached = _load(source, writer, checkpoint, progress, begins=begins)
            begins = begins or not loaded.resumed
            loads.append(loaded)
            through.append((reached, checkpoint))
        # Only now: rows of the first source may be lost while the last is loaded.
        if not all(writer.holds_parts(reached.load, reached.parts) for reached, _ in through):
            for reached, checkpoint in through:
                checkpoint.clear()
                with suppress(StoreFailed):
                    writer.end_load(reached.load)
            raise StoreLost(
                "the store lost rows of this load before it ended; run the load again, it starts over"
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
            further = LoadProgress(reached.load, reached.parts + 1, part.position, part.done, loaded.refused)
            checkpoint.write(further)
            reached = further
            progress(part.done, source.total)
    except BaseException as error:
        if isinstance(error, StoreLost) or reached.parts == 0:  # there is nothing to go on from
            checkpoint.clear()
            with suppress(StoreFailed):
                writer.end_load(reached.load)
        raise
    reached = replace(reached, is_through=True)
    checkpoint.write(reached)
    return loaded, reached
