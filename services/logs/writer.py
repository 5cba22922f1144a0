"""The served log's files. Tables are gathered by kind and release. Size and time decide when they are written.

This module has no thread and no clock. Time is an argument.
"""

import datetime
import itertools
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from services.logs.folder import LogFolder
from services.logs.rows import FeedbackRow, ListsMaker, ShownRow, feedback_rows_table

logger = logging.getLogger("ray.serve")


class LogConfig(BaseModel):
    """Where lists and feedback are logged, and which share of them.

    A file is written when its rows take ``roll_bytes`` in memory, or when its first row has waited ``roll_s``.

    Attributes:
        path: a folder relative to the home, or a URL that fsspec supports.
        sample: the share of lists that are logged, with their feedback.
        max_rows_waiting: the most rows that wait to be written. Further rows are dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    roll_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=1024**3)
    roll_s: float = Field(default=60.0, gt=0, le=86_400)
    sample: float = Field(default=1.0, gt=0, le=1)
    max_rows_waiting: int = Field(default=10_000, ge=1, le=10_000_000)


class RowCounts(Protocol):
    """Counts the written and the lost rows."""

    def written(self, kind: str, count: int) -> None:
        """Record rows that are in a file."""
        ...

    def dropped(self, reason: str, count: int) -> None:
        """Record rows that are lost."""
        ...


@dataclass
class _Pending:
    """Tables with one schema that will become one file.

    Attributes:
        since_s: when the first row was added, or when the last attempt to write the file failed.
    """

    since_s: float
    tables: list[pa.Table] = field(default_factory=list)
    size_bytes: int = 0

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables)


class LogWriter:
    """Gathers rows by kind and release, and writes them when they are due."""

    def __init__(self, config: LogConfig, folder: LogFolder, counts: RowCounts) -> None:
        """Write to ``folder``, and count the written and dropped rows in ``counts``."""
        self._config = config
        self._folder = folder
        self._counts = counts
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._makers: dict[str, ListsMaker] = {}
        self._name = secrets.token_hex(4)  # distinguishes the replicas that write into the same folder
        self._numbers = itertools.count(1)
        self._failing = False

    def add(self, rows: Sequence[ShownRow | FeedbackRow], now_s: float) -> None:
        """Add rows. Rows that cannot become a table are dropped and counted."""
        events = [row for row in rows if isinstance(row, FeedbackRow)]
        if events:
            self._gather(("feedback", ""), len(events), lambda: feedback_rows_table(events), now_s)
        shown_rows = [row for row in rows if isinstance(row, ShownRow) and not row.is_empty()]
        for release, release_rows in itertools.groupby(shown_rows, key=lambda row: row.batch.release):
            self._add_lists(release, list(release_rows), now_s)

    def roll(self, now_s: float, *, everything: bool = False) -> None:
        """Write the files that are due.

        If a file cannot be written, its rows wait for the next attempt. They are dropped once they take ``roll_bytes``.

        Args:
            now_s: the current time.
            everything: write all files, whether they are due or not. Rows that cannot be written now are
                dropped.
        """
        config = self._config
        for key, pending in list(self._pending.items()):
            full = pending.size_bytes >= config.roll_bytes
            if not (full or everything or now_s - pending.since_s >= config.roll_s):
                continue
            if self._written(key[0], pending, now_s):
                self._counts.written(key[0], len(pending))
            elif full or everything:
                self._counts.dropped("target", len(pending))
            else:
                pending.since_s = now_s
                continue
            del self._pending[key]

    def _add_lists(self, release: str, rows: Sequence[ShownRow], now_s: float) -> None:
        maker = self._makers.get(release)
        if maker is None:
            maker = ListsMaker(rows[0].features)
            # One maker is enough, because releases alternate only during a short swap.
            self._makers = {release: maker}
        fitting = [row for row in rows if maker.fits(row.batch)]
        if len(fitting) < len(rows):
            self._counts.dropped("unfit", len(rows) - len(fitting))
        if fitting:
            self._gather(("lists", release), len(fitting), lambda: maker.table(fitting), now_s)

    def _gather(self, key: tuple[str, str], count: int, make: Callable[[], pa.Table], now_s: float) -> None:
        try:
            table = make()
        except Exception:  # one row must not stop the log
            logger.exception("%d rows of %s cannot be logged and were dropped", count, key[0])
            self._counts.dropped("unfit", count)
            return
        pending = self._pending.setdefault(key, _Pending(now_s))
        pending.tables.append(table)
        pending.size_bytes += table.nbytes

    def _written(self, kind: str, pending: _Pending, now_s: float) -> bool:
        moment = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
        name = f"{kind}-{moment:%Y%m%dT%H%M%S}-{self._name}-{next(self._numbers):06d}.parquet"
        try:
            self._folder.write(pa.concat_tables(pending.tables), name)
        except Exception as error:  # each kind of file system has its own errors
            if not self._failing:
                logger.error("the served log cannot be written to %s: %r", self._folder.root, error)
            self._failing = True
            return False
        if self._failing:
            logger.warning("the served log is written to %s again", self._folder.root)
        self._failing = False
        return True
