"""A replica's served log: answered lists and feedback.

The event loop appends rows to a queue and never waits. If the queue is full, rows are dropped and counted. A thread
makes tables of at most 64 rows each, so that the model thread waits for the GIL only as long as one small table takes.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.features.definition import FeatureSet
from services.errors import QueueFull
from services.logs.folder import LogFolder
from services.logs.rows import FeedbackRow, ShownRow
from services.logs.writer import LogConfig, LogWriter, RowCounts
from services.periodic import PeriodicThread
from services.scheduling.job import Answer
from services.stages.sent_items import SentItems

_DRAIN_PERIOD_S = 0.25
_ROWS_AT_ONCE = 64
_PAUSE_S = 0.0005
_CLOSE_LIMIT_S = 15.0
logger = logging.getLogger("ray.serve")


class ServedLog:
    """One replica's log. Only the event loop may call ``shown`` and ``feedback``."""

    def __init__(
        self,
        config: LogConfig,
        folder: LogFolder,
        counts: RowCounts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start the writing thread."""
        self._config = config
        self._counts = counts
        self._clock = clock
        self._waiting: deque[ShownRow | FeedbackRow] = deque()
        self._writer = LogWriter(config, folder, counts)
        self._thread = PeriodicThread(
            self._drain,
            _DRAIN_PERIOD_S,
            name="log",
            failure="rows could not be written to the served log",
            at_close=True,
        )
        self._thread.start()

    def shown(
        self,
        answer: Answer,
        request_id: str,
        user_id: str,
        features: FeatureSet,
        keys: NDArray[np.int64],
        sent: SentItems | None = None,
    ) -> None:
        """Record an answered list.

        Args:
            answer: the answer with the list.
            request_id: the request's id.
            user_id: the user's id.
            features: the feature definitions in the answer's release.
            keys: (N,) int64, the keys of all items in that release's catalogue.
            sent: the request's candidates that came with features. None if there are none.
        """
        if not is_sampled(request_id, self._config.sample):
            return
        if len(self._waiting) >= self._config.max_rows_waiting:
            self._counts.dropped("waiting", 1)
            return
        row = ShownRow(answer.batch, answer.first, request_id, user_id, self._clock(), features, keys, sent)
        self._waiting.append(row)

    def feedback(self, request_id: str, key: int, event: str, value: float) -> None:
        """Record a user's event for an item in a list.

        Raises:
            QueueFull: too many rows are waiting. The feedback may be sent again.
        """
        if not is_sampled(request_id, self._config.sample):
            return
        if len(self._waiting) >= self._config.max_rows_waiting:
            self._counts.dropped("waiting", 1)
            raise QueueFull(
                f"too many rows are waiting to be logged, got {len(self._waiting)}, the limit is "
                f"{self._config.max_rows_waiting}; send the feedback again later, or raise log.max_rows_waiting",
                retry_after_s=1,
            )
        self._waiting.append(FeedbackRow(request_id, key, event, value, self._clock()))

    def thread_cpu_s(self) -> float:
        """Return the CPU seconds that the writing thread has used."""
        return self._thread.cpu_s()

    def close(self) -> None:
        """Write the remaining rows and stop. Do not wait for a file system that hangs."""
        if not self._thread.close(_CLOSE_LIMIT_S):
            logger.error("the served log's last rows were not written within %.0f s", _CLOSE_LIMIT_S)

    def _drain(self) -> None:
        is_last = self._thread.is_stopping
        while self._waiting:
            time.sleep(_PAUSE_S)  # releases the GIL
            count = min(len(self._waiting), _ROWS_AT_ONCE)
            self._writer.add([self._waiting.popleft() for _ in range(count)], self._clock())
            self._writer.roll(self._clock())
        self._writer.roll(self._clock(), everything=is_last)


def is_sampled(request_id: str, share: float) -> bool:
    """Return whether a list is in the sample.

    The result depends only on the request id. So feedback to a list is in the sample if the list is, even if another
    replica receives the feedback.
    """
    if share >= 1.0:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64
