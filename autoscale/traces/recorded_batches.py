"""Batches that a cluster recorded, one by one: what each took, and what ran beside it."""

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
    """Batches of one unit in one pool. All (n,): ended_s since 1970, seconds of its stages, requests, candidates.

    replica: a number of which the batches of one replica have the same; ``replicas`` in all.
    """

    ended_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    requests: NDArray[np.int32]
    candidates: NDArray[np.int32]
    replica: NDArray[np.int64]
    replicas: int

    def beside(self) -> NDArray[np.float64]:
        """Give, for each, the share of its time in which the other replicas ran batches: (n,), 1 where all always did.

        It is 0 of a replica that has no others.
        """
        overlap_s = np.zeros(len(self.ended_s))
        for number in range(self.replicas):
            its, others = self.replica == number, self.replica != number
            ran_before_s = _ran_before_s(self.ended_s[its], self.seconds[its])
            ended_s = self.ended_s[others]
            overlap_s[others] += ran_before_s(ended_s) - ran_before_s(ended_s - self.seconds[others])
        share: NDArray[np.float64] = overlap_s / self.seconds / max(1, self.replicas - 1)
        return np.clip(share, 0.0, 1.0)

    def running(self, since_s: float, until_s: float) -> float:
        """Give the share of the time between two moments in which a replica ran a batch, on the mean over replicas."""
        window_s = np.array([since_s, until_s])
        ran_s = [
            float(np.diff(_ran_before_s(self.ended_s[its], self.seconds[its])(window_s))[0])
            for its in (self.replica == number for number in range(self.replicas))
        ]
        return sum(ran_s) / len(ran_s) / (until_s - since_s)


def _ran_before_s(
    ended_s: NDArray[np.float64], seconds: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Give what tells for how long a replica had run batches, which it runs one after another, at any moments.

    They are noted some time after they end: of two that seem to overlap the second begins as the first ends.
    """
    if not len(ended_s):
        return np.zeros_like
    started_s = np.maximum(ended_s - seconds, np.concatenate([[-np.inf], ended_s[:-1]]))
    ran_s = np.cumsum(ended_s - started_s)
    moments_s = np.stack([started_s, ended_s], axis=1).ravel()
    ran_then_s = np.stack([ran_s - (ended_s - started_s), ran_s], axis=1).ravel()
    return lambda at_s: np.interp(at_s, moments_s, ran_then_s)


def read_batches(folder: Path, since_s: float, until_s: float) -> dict[Key, RecordedBatches]:
    """Read those that ended between two moments since 1970; a batch that took no time was answered from memory.

    Raises:
        TraceError: there is no file, or one is no record of traffic.
    """
    tables = list(tables_of(files_of(folder), since_s, until_s))
    if not tables:
        return {}
    table = pa.concat_tables(tables)
    is_batch = pa.compute.equal(table["kind"], "batch")
    table = table.filter(pa.compute.and_(is_batch, pa.compute.greater(table["milliseconds"], 0.0)))
    keys = {Key(row["unit"], row["pool"]) for row in table.select(["unit", "pool"]).to_pylist()}
    return {key: _of(table, key) for key in sorted(keys)}


def _of(table: pa.Table, key: Key) -> RecordedBatches:
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
