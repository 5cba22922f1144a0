"""Traffic that a cluster recorded: its arrivals as a trace, shed requests, batches and scaling decisions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from autoscale.errors import TraceError
from autoscale.traces.bins import Arrivals
from autoscale.traces.trace import ArrivalTrace

_COLUMNS = ("time_s", "kind", "unit", "pool", "requests", "candidates", "milliseconds", "note")


@dataclass(frozen=True, slots=True)
class Decided:
    """A scaling decision in the cluster. ``at_s`` is on the trace's clock."""

    at_s: float
    unit: str
    pool: str
    replicas: int
    reason: str


@dataclass(frozen=True, slots=True)
class RecordedTraffic:
    """Recorded traffic in a period.

    Attributes:
        trace: the arrivals at the ingress.
        origin_s: time 0 of the trace, a Monday midnight (UTC), in seconds since 1970.
        pipeline: the pipeline's configuration, from the last file.
        shed: by unit, requests that were refused or answered by the fallback.
        batches: by unit, number of batches.
        batched: by unit, candidates in these batches.
        decisions: scaling decisions that changed a target.
    """

    trace: ArrivalTrace
    origin_s: float
    pipeline: dict[str, Any]
    shed: dict[str, int]
    batches: dict[str, int]
    batched: dict[str, int]
    decisions: tuple[Decided, ...]


def read_traffic(folder: Path, since_s: float | None = None, until_s: float | None = None) -> RecordedTraffic:
    """Read a single file or all files in a folder, between two times in seconds since 1970.

    Raises:
        TraceError: there is no file, a file is not recorded traffic, or no request arrived in that time.
    """
    paths = files_of(folder)
    tables = list(tables_of(paths, since_s, until_s))
    table = pa.concat_tables(tables).sort_by("time_s") if tables else None
    pipeline = _pipeline(paths[-1])
    arrived = None if table is None else table.filter(pa.compute.equal(table["kind"], "arrival"))
    ingress = _ingress(pipeline)
    if arrived is not None:
        arrived = arrived.filter(pa.compute.equal(arrived["unit"], ingress))
    if table is None or arrived is None or not len(arrived):
        raise TraceError(
            f"{folder}: no request arrived at unit {ingress} in the chosen period; choose another period, or read the "
            f"whole record"
        )
    moments = arrived["time_s"].to_numpy()
    origin_s = monday_before(float(moments[0]))
    return RecordedTraffic(
        trace=_trace(moments - origin_s, arrived["candidates"].to_numpy(), folder.name),
        origin_s=origin_s,
        pipeline=pipeline,
        shed=_summed(table, "shed", "requests"),
        batches=_counted(table, "batch"),
        batched=_summed(table, "batch", "candidates"),
        decisions=tuple(_decisions(table, origin_s)),
    )


def monday_before(time_s: float) -> float:
    """Return the Monday midnight (UTC) before a time. Both are in seconds since 1970."""
    moment = datetime.fromtimestamp(time_s, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - 86_400.0 * moment.weekday()


def _trace(times_s: NDArray[np.float64], candidates: NDArray[np.int32], name: str) -> ArrivalTrace:
    arrivals = Arrivals(times_s, np.maximum(candidates, 1).astype(np.int32))
    return ArrivalTrace(name, lambda: iter((arrivals,)))


def files_of(folder: Path) -> list[Path]:
    """Return the files with recorded traffic in a folder. If ``folder`` is a file, return that file.

    Raises:
        TraceError: there is no file.
    """
    paths = sorted(folder.glob("traffic-*.parquet")) if folder.is_dir() else [folder]
    if not paths or not all(path.is_file() for path in paths):
        raise TraceError(
            f"{folder}: no recorded traffic; add record: to the pipeline's YAML, and serve the pipeline"
        )
    return paths


def tables_of(paths: list[Path], since_s: float | None, until_s: float | None) -> Iterator[pa.Table]:
    """Yield each file's rows between two times, with a column ``source`` for the process that recorded them.

    Raises:
        TraceError: a file is not recorded traffic.
    """
    for path in paths:
        try:
            table = pa.parquet.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise TraceError(
                f"{path}: cannot be read: {error}; remove this file, or copy it again"
            ) from error
        if missing := [name for name in _COLUMNS if name not in table.schema.names]:
            raise TraceError(
                f"{path}: not recorded traffic, missing column {', '.join(missing)}; remove this file from the folder"
            )
        for name in ("kind", "unit", "pool"):  # their dictionary encodings differ between files
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table[name].cast(pa.string()))
        source = (table.schema.metadata or {}).get(b"source", b"").decode()
        table = table.replace_schema_metadata(None).append_column("source", pa.array([source] * len(table)))
        if since_s is not None:
            table = table.filter(pa.compute.greater_equal(table["time_s"], since_s))
        if until_s is not None:
            table = table.filter(pa.compute.less(table["time_s"], until_s))
        if len(table):
            yield table


def _pipeline(path: Path) -> dict[str, Any]:
    metadata = pa.parquet.read_schema(path).metadata or {}
    try:
        pipeline: dict[str, Any] = json.loads(metadata[b"pipeline"])
    except (KeyError, ValueError) as error:
        raise TraceError(f"{path}: the metadata contain no pipeline; record the traffic again") from error
    return pipeline


def _ingress(pipeline: dict[str, Any]) -> str:
    units: dict[str, Any] = pipeline.get("units", {})
    return next((name for name, unit in units.items() if "features" in unit.get("stages", ())), "")


def _grouped(table: pa.Table, kind: str, column: str, how: str) -> dict[str, int]:
    rows = table.filter(pa.compute.equal(table["kind"], kind))
    grouped = rows.group_by("unit").aggregate([(column, how)])
    return dict(zip(grouped["unit"].to_pylist(), grouped[f"{column}_{how}"].to_pylist(), strict=True))


def _summed(table: pa.Table, kind: str, column: str) -> dict[str, int]:
    return _grouped(table, kind, column, "sum")


def _counted(table: pa.Table, kind: str) -> dict[str, int]:
    return _grouped(table, kind, "requests", "count")


def _decisions(table: pa.Table, origin_s: float) -> Iterator[Decided]:
    rows = table.filter(pa.compute.equal(table["kind"], "decision")).to_pylist()
    for row in rows:
        yield Decided(row["time_s"] - origin_s, row["unit"], row["pool"], row["requests"], row["note"] or "")
