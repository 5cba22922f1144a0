"""Batches that a cluster recorded one by one, with their times, and with the load of other replicas at those times."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from autoscale.spec import Key
from autoscale.traces.recorded_traffic import files_of, tables_of


@dataclass(frozen=True, eq=False, slots=True)
class RecordedBatches:
    """One unit's n batches in one pool. All arrays are (n,).

    Attributes:
        ended_s: when the batch ended, in seconds since 1970.
        seconds: how long the batch's stages took.
        requests: number of requests.
        candidates: number of candidates.
        replica: the replica's index, below ``replicas``.
        replicas: number of replicas.
    """

    ended_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    requests: NDArray[np.int32]
    candidates: NDArray[np.int32]
    replica: NDArray[np.int64]
    replicas: int

    def beside(self) -> NDArray[np.float64]:
        """Return (n,) the share of a batch's time for which other replicas ran batches, as a mean over these replicas.

        The share is 1 if all other replicas always ran batches, and 0 if there are no other replicas.
        """
        overlap_s = np.zeros(len(self.ended_s))
        for number in range(self.replicas):
            own, others = self.replica == number, self.replica != number
            ran_before_s = _ran_before_s(self.ended_s[own], self.seconds[own])
            ended_s = self.ended_s[others]
            overlap_s[others] += ran_before_s(ended_s) - ran_before_s(ended_s - self.seconds[others])
        share: NDArray[np.float64] = overlap_s / self.seconds / max(1, self.replicas - 1)
        return np.clip(share, 0.0, 1.0)

    def running(self, since_s: float, until_s: float) -> float:
        """Return the share of a period for which a replica ran batches, as a mean over replicas."""
        window_s = np.array([since_s, until_s])
        ran_s = [
            float(np.diff(_ran_before_s(self.ended_s[own], self.seconds[own])(window_s))[0])
            for own in (self.replica == number for number in range(self.replicas))
        ]
        return sum(ran_s) / len(ran_s) / (until_s - since_s)


def _ran_before_s(
    ended_s: NDArray[np.float64], seconds: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a function from times to the total seconds for which a replica had run batches by then.

    A replica runs one batch at a time, but a batch's end is recorded a little late. If two batches seem to overlap, the
    second one counts from the first one's end.

    Args:
        ended_s: (n,) sorted batch ends.
        seconds: (n,) batch times.
    """
    if not len(ended_s):
        return np.zeros_like
    started_s = np.maximum(ended_s - seconds, np.concatenate([[-np.inf], ended_s[:-1]]))
    ran_s = np.cumsum(ended_s - started_s)
    moments_s = np.stack([started_s, ended_s], axis=1).ravel()
    ran_then_s = np.stack([ran_s - (ended_s - started_s), ran_s], axis=1).ravel()
    return lambda at_s: np.interp(at_s, moments_s, ran_then_s)


def read_batches(folder: Path, since_s: float, until_s: float) -> dict[Key, RecordedBatches]:
    """Read the batches that ended between two times in seconds since 1970.

    Batches that took no time are left out, because they were answered from memory.

    Raises:
        TraceError: there is no file, or a file is not recorded traffic.
    """
    tables = list(tables_of(files_of(folder), since_s, until_s))
    if not tables:
        return {}
    table = pa.concat_tables(tables)
    is_batch = pa.compute.equal(table["kind"], "batch")
    table = table.filter(pa.compute.and_(is_batch, pa.compute.greater(table["milliseconds"], 0.0)))
    keys = {Key(row["unit"], row["pool"]) for row in table.select(["unit", "pool"]).to_pylist()}
    return {key: _batches_of(table, key) for key in sorted(keys)}


def _batches_of(table: pa.Table, key: Key) -> RecordedBatches:
    ours = pa.compute.and_(
        pa.compute.equal(table["unit"], key.unit), pa.compute.equal(table["pool"], key.pool)
    )
    rows = table.filter(ours).sort_by("time_s")
    sources = np.array(rows["source"].to_pylist(), dtype=str)
    names, replica = np.unique(sources, return_inverse=True)
    return RecordedBatches(
        ended_s=rows["time_s"].to_numpy(),
        seconds=rows["milliseconds"].to_numpy().astype(np.float64) / 1e3,
        requests=rows["requests"].to_numpy(),
        candidates=rows["candidates"].to_numpy(),
        replica=replica,
        replicas=len(names),
    )
