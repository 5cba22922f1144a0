"""Rows that cannot be read. They are refused with file and row, or counted, listed and skipped."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.errors import ArtifactError

LISTED = 10_000
"""Maximum number of bad rows that are listed. All are counted."""
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Part:
    """Some rows of one file.

    Attributes:
        path: the file.
        first: number of the first row as a reader sees it. The first line of a CSV file is its header.
        word: "line" or "row".
        data: the columns that were asked for.
        done: bytes of the table that were read so far, for progress.
        gaps: numbers of rows in the file that could not be parsed, and are not in the data.
        line_of: the line by row number, for files in which a row can have several lines.
        origin: the file's row of each row of the data, if a row of the file became several.
        after: where the file's reader can continue after this part. It is JSON.
    """

    path: str
    first: int
    word: str
    data: pa.RecordBatch
    done: int = 0
    gaps: Sequence[int] = ()
    line_of: Callable[[int], int] | None = None
    origin: NDArray[np.int64] | None = None
    after: Mapping[str, Any] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """Return file and number of a row of this part, counted from 0."""
        number = self.first + (row if self.origin is None else int(self.origin[row]))
        for gap in self.gaps:
            number += gap <= number
        return f"{self.path} {self.word} {number if self.line_of is None else self.line_of(number)}"


@dataclass
class BadRows:
    """Collects bad rows, or refuses the first one.

    Attributes:
        skip: whether bad rows are skipped.
        counts: number of bad rows by problem.
        listed: texts with file, row and problem.
        notes: things that are no errors, but worth knowing.
        until_s: epoch seconds until which the counts are right. Later, a time in the future would be a good one.
    """

    skip: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    until_s: float = math.inf

    def add(self, other: "BadRows") -> None:
        """Add the rows that were collected from later rows of the same files."""
        self.counts.update(other.counts)
        self.listed += other.listed[: LISTED - len(self.listed)]
        self.notes += other.notes
        self.until_s = min(self.until_s, other.until_s)

    def taken(self) -> "BadRows":
        """Return the rows that were collected, and begin again."""
        taken = replace(self)
        self.counts, self.listed, self.notes, self.until_s = Counter(), [], [], math.inf
        return taken

    def report(
        self, part: Part, rows: NDArray[np.bool_], column: str, problem: str, remedy: str, values: Any = None
    ) -> None:
        """Report the rows of a part that have a problem.

        Args:
            part: the rows.
            rows: bool (rows of the part,), True for a bad row.
            column: the column with the problem.
            problem: such as "must be a number".
            remedy: what the user can do.
            values: the column's values by row. None: they are not shown.

        Raises:
            ArtifactError: bad rows are not skipped.
        """
        indices = np.flatnonzero(rows)
        if not len(indices):
            return
        self.counts[f"{column} {problem}"] += len(indices)
        for row in indices[: LISTED - len(self.listed)].tolist():
            got = "" if values is None else f", got {shown(values[row])}"
            text = f"{part.where(row)}: column {column} {problem}{got}"
            if not self.skip:
                raise ArtifactError(f"{text}; {remedy}, or skip such rows with --skip-bad")
            self.listed.append(text)

    def one(self, problem: str, text: str, remedy: str) -> None:
        """Report one row.

        Args:
            problem: the problem under which it is counted.
            text: file, row and problem.
            remedy: what the user can do.

        Raises:
            ArtifactError: bad rows are not skipped.
        """
        if not self.skip:
            raise ArtifactError(f"{text}; {remedy}, or skip such rows with --skip-bad")
        self.counts[problem] += 1
        if len(self.listed) < LISTED:
            self.listed.append(text)

    def unreadable(self, path: str, where: str, problem: str) -> None:
        """Report one row that could not even be split into columns.

        Raises:
            ArtifactError: bad rows are not skipped.
        """
        self.one("row cannot be parsed", f"{path} {where}: {problem}", "correct the row")

    def write(self, path: Path) -> None:
        """Write the listed rows, one per line, if there are any."""
        if self.listed:
            path.write_text("\n".join(self.listed) + "\n", encoding="utf-8")


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    value = value.as_py() if isinstance(value, pa.Scalar) else value
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    text = repr(value)
    return (
        text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
    )
