"""The traffic log: arrivals, refusals, batches and decisions, for ``autoscale/traces/recorded_traffic.py``.

The event loop appends notes to a queue and never waits. If the queue is full, notes are dropped and counted.
Every ``roll_s`` a thread writes the notes to a Parquet file. A request takes about ten bytes.
"""

import datetime
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from services.logs.folder import LogFolder
from services.periodic import PeriodicThread

Kind = Literal["arrival", "shed", "batch", "decision"]
_CLOSE_LIMIT_S = 15.0
_STRINGS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("time_s", pa.float64()),
        ("kind", _STRINGS),
        ("unit", _STRINGS),
        ("pool", _STRINGS),
        ("requests", pa.int32()),
        ("candidates", pa.int32()),
        ("milliseconds", pa.float32()),
        ("note", pa.string()),
    ]
)
logger = logging.getLogger("ray.serve")


class RecordConfig(BaseModel):
    """Where traffic is recorded.

    Attributes:
        path: a folder relative to the home, or a URL that fsspec supports.
        roll_s: seconds between two files.
        max_notes_waiting: the most notes that wait to be written. Further notes are dropped and counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    roll_s: float = Field(default=60.0, gt=0, le=3600)
    max_notes_waiting: int = Field(default=1_000_000, ge=1, le=100_000_000)


class Note(NamedTuple):
    """A row of the traffic log.

    Attributes:
        time_s: seconds since 1970.
        requests: the request count. For a decision, the new replica count.
        milliseconds: for a batch, its time in all stages.
        note: the reason for a decision.
    """

    time_s: float
    kind: Kind
    unit: str
    pool: str
    requests: int
    candidates: int = 0
    milliseconds: float = 0.0
    note: str | None = None


class TrafficLog:
    """The traffic that one process records."""

    def __init__(
        self,
        config: RecordConfig,
        home: Path,
        pipeline: str,
        source: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start the writing thread.

        Args:
            config: where traffic is recorded.
            home: the data home.
            pipeline: the pipeline's configuration as JSON. Every file contains it.
            source: the process name, such as a replica's id. It is part of the file names.
            clock: returns the time in seconds since 1970.

        Raises:
            ConfigError: the file system is unknown, or a package that it needs is not installed.
        """
        self._config, self._clock = config, clock
        self._folder = LogFolder.at(config.path, home, field="record.path")
        self._schema = SCHEMA.with_metadata({"pipeline": pipeline, "source": source})
        # The id keeps file names apart if a process restarts within the same second.
        self._source, self._id, self._numbers = source, secrets.token_hex(2), itertools.count(1)
        self._notes: deque[Note] = deque()
        self._dropped = 0
        self._thread = PeriodicThread(
            self._roll,
            config.roll_s,
            name="traffic-log",
            failure=f"traffic could not be recorded in {self._folder.root}",
            at_close=True,
        )
        self._thread.start()

    def note(
        self,
        kind: Kind,
        unit: str,
        pool: str,
        requests: int,
        candidates: int = 0,
        milliseconds: float = 0.0,
        text: str | None = None,
    ) -> None:
        """Record an event with the current time."""
        if len(self._notes) >= self._config.max_notes_waiting:
            self._dropped += 1
            return
        self._notes.append(Note(self._clock(), kind, unit, pool, requests, candidates, milliseconds, text))

    def stop(self) -> None:
        """Let the thread write the remaining notes and end, without waiting for it."""
        self._thread.stop()

    def close(self) -> None:
        """Write the remaining notes and stop. Do not wait for a file system that hangs."""
        self._thread.close(_CLOSE_LIMIT_S)

    def _roll(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            logger.warning(
                "%d traffic records were dropped; more than %d were waiting",
                dropped,
                self._config.max_notes_waiting,
            )
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        if not notes:
            return
        columns = [
            pa.array(values).cast(field.type)
            if pa.types.is_dictionary(field.type)
            else pa.array(values, field.type)
            for values, field in zip(zip(*notes, strict=True), SCHEMA, strict=True)
        ]
        moment = datetime.datetime.fromtimestamp(notes[0].time_s, datetime.UTC)
        name = f"traffic-{moment:%Y%m%dT%H%M%S}-{self._source}-{self._id}-{next(self._numbers):06d}.parquet"
        self._folder.write(pa.Table.from_arrays(columns, schema=self._schema), name)
