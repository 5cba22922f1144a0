"""trend.csv: the figures from serving.py by release, each as the service's figure divided by the control's."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

LEAST_REPEATS = 3


class TrendError(Exception):
    """The figures cannot be recorded, or the file cannot be read."""


@dataclass(frozen=True, slots=True)
class Row:
    """One workload under one load, measured at one commit.

    Attributes:
        rps_ratio: the service's requests per second over the control's.
        p50_ratio: the same for p50.
        p99_ratio: the same for p99.
        core_ms_ratio: the same for CPU milliseconds per request.
        failed: the service's requests that did not get a 200.
        flags: the processor's instruction sets that affect the speed.

    Raises:
        ValueError: a value is out of range.
    """

    release: str
    commit: str
    date: str
    workload: str
    load: str
    repeats: int
    rps_ratio: float
    p50_ratio: float
    p99_ratio: float
    core_ms_ratio: float
    failed: int
    cpu: str
    cores: int
    flags: str

    def __post_init__(self) -> None:
        date.fromisoformat(self.date)
        for name in ("rps_ratio", "p50_ratio", "p99_ratio", "core_ms_ratio"):
            if not 0 < getattr(self, name) < 1000:
                raise ValueError(
                    f"{name}: must be between 0 and 1000, got {getattr(self, name)}; measure again"
                )
        if self.repeats < LEAST_REPEATS:
            raise ValueError(
                f"repeats: must be at least {LEAST_REPEATS}, got {self.repeats}; measure more rounds"
            )

    @property
    def key(self) -> tuple[str, ...]:
        """The values that together identify a row."""
        return (self.commit, self.workload, self.load, self.cpu, str(self.cores), self.flags)


_TYPES = {field.name: field.type for field in fields(Row)}
COLUMNS = list(_TYPES)


def read_trend(path: Path) -> list[Row]:
    """Read the file.

    Raises:
        TrendError: the file does not exist, or a row cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, None) != COLUMNS:
                raise TrendError(f"{path}: the columns are not {', '.join(COLUMNS)}; restore the first line")
            return [_row(path, reader.line_num, values) for values in reader if values]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrendError(f"{path}: {error}") from error


def _row(path: Path, line: int, values: list[str]) -> Row:
    try:
        if len(values) != len(COLUMNS):
            raise ValueError(f"expected {len(COLUMNS)} values, got {len(values)}")
        parsed: dict[str, Any] = {
            name: kind(value)
            for (name, kind), value in zip(_TYPES.items(), values, strict=True)
            if callable(kind)
        }
        return Row(**parsed)
    except ValueError as error:
        raise TrendError(f"{path}: line {line}: {error}; correct the line") from error


def rows_of(runs: Sequence[dict[str, Any]], release: str, commit: str, day: str) -> Iterator[Row]:
    """Yield a measurement's rows. Each row has the medians over the runs for one workload and load.

    Args:
        runs: documents from ``serving.py --json``.
        release: the release's name.
        commit: the measured commit's short hash.
        day: the commit's date.

    Raises:
        TrendError: the runs are from different machines or have different workloads, or a figure cannot be recorded.
    """
    machine = runs[0].get("machine")
    if machine is None or any(run.get("machine") != machine for run in runs):
        raise TrendError("machine: missing, or not the same in all files; measure all rounds on one machine")
    repeats: dict[str, int] = {}
    cells: dict[tuple[str, str], list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for result in (result for run in runs for result in run["results"]):
        workload = result["workload"]
        repeats[workload] = repeats.get(workload, 0) + result["repeats"]
        sides = {(row["side"], row["load"]): row for row in result["rows"]}
        for load in [load for side, load in sides if side == "service"]:
            cells.setdefault((workload, load), []).append((sides["service", load], sides["control", load]))
    for (workload, load), pairs in cells.items():
        if len(pairs) != len(runs):
            raise TrendError(
                f"{workload} {load}: must be in all {len(runs)} files, got {len(pairs)}; use complete rounds"
            )
        try:
            ratios = {
                column: round(median(service[field] / control[field] for service, control in pairs), 3)
                for column, field in (
                    ("rps_ratio", "rps"),
                    ("p50_ratio", "p50_ms"),
                    ("p99_ratio", "p99_ms"),
                    ("core_ms_ratio", "core_ms"),
                )
            }
            yield Row(
                release=release,
                commit=commit,
                date=day,
                workload=workload,
                load=load,
                repeats=repeats[workload],
                **ratios,
                failed=sum(
                    service["errors"] + service["missed"] + service["not_200"] for service, _ in pairs
                ),
                cpu=machine["cpu"],
                cores=machine["cores"],
                flags=" ".join(machine["flags"]),
            )
        except ZeroDivisionError as error:
            raise TrendError(
                f"{workload} {load}: a measurement of the control is 0, so there is no ratio to it; "
                f"measure all rounds again"
            ) from error
        except ValueError as error:
            raise TrendError(f"{workload} {load}: {error}") from error


def add_rows(path: Path, rows: Sequence[Row]) -> None:
    """Append rows to the file, either all or none.

    Raises:
        TrendError: the file cannot be read or written, or already has one of these rows.
    """
    recorded = read_trend(path)
    recorded_keys = {row.key for row in recorded}
    for row in rows:
        if row.key in recorded_keys:
            raise TrendError(
                f"{path}: already has {row.workload} {row.load} of {row.commit} on this machine; remove its lines first"
            )
    staging = path.with_name(f"{path.name}.new")
    try:
        with staging.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in [*recorded, *rows])
        os.replace(staging, path)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise TrendError(f"{path}: {error}") from error
