"""The traffic log: what came, was refused, batched and decided, as ``autoscale/traces/recorded_traffic.py`` reads it.

Noting appends to a queue and never waits; past its limit notes are dropped and counted. A thread writes a file of what
has come every ``roll_s``: Parquet, some ten bytes a request.
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
    """Where traffic is recorded. path: a folder relative to the home, or a URL that fsspec knows.

    roll_s: a file is written so often. max_notes_waiting: past it notes are dropped and counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    roll_s: float = Field(default=60.0, gt=0, le=3600)
    max_notes_waiting: int = Field(default=1_000_000, ge=1, le=100_000_000)


class Note(NamedTuple):
    """A row. requests: of a decision, the replicas decided on. milliseconds: of a batch, its stages' time.

    time_s: since 1970. note: of a decision, its reason.
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
    """What one process notes; ``pipeline`` is the pipeline's configuration as JSON, which every file carries."""

    def __init__(
        self,
        config: RecordConfig,
        home: Path,
        pipeline: str,
        source: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start the writing thread. source: what notes, as a replica's id; it is part of the files' names.

        Raises:
            ConfigError: there is no such kind of file system.
        """
        self._config, self._clock = config, clock
        self._folder = LogFolder.at(config.path, home, field="record.path")
        self._schema = SCHEMA.with_metadata({"pipeline": pipeline, "source": source})
        # A process that starts again within the second writes into the same folder.
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
        """Note what happens now."""
        if len(self._notes) >= self._config.max_notes_waiting:
            self._dropped += 1
            return
        self._notes.append(Note(self._clock(), kind, unit, pool, requests, candidates, milliseconds, text))

    def stop(self) -> None:
        """Let the thread write what is left and end; nobody waits for it."""
        self._thread.stop()

    def close(self) -> None:
        """Write what is left and stop; a file system that hangs is not waited for."""
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
