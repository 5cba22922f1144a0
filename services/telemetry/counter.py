"""A counter that any thread may increment. The flusher's thread passes the sums to Ray."""

from collections import Counter as Tally
from collections import deque
from collections.abc import Mapping
from typing import TypeVar

from ray.util import metrics

Note = TypeVar("Note")


class LabelledCount:
    """A counter series with one variable label, in addition to fixed ones."""

    def __init__(self, name: str, description: str, tags: Mapping[str, str], label: str) -> None:
        """Declare the series.

        Args:
            name: the series name.
            description: the help text.
            tags: the fixed labels and their values.
            label: the variable label's name.
        """
        self._label = label
        self._series = metrics.Counter(name, description, (*tags, label))
        self._series.set_default_tags(dict(tags))
        self._notes: deque[tuple[str, int]] = deque()

    def add(self, value: str, count: int = 1) -> None:
        """Add ``count`` to the series whose variable label has this value."""
        self._notes.append((value, count))

    def flush(self) -> None:
        """Pass the sums to Ray. The event loop may add more meanwhile."""
        sums: Tally[str] = Tally()
        for _ in range(len(self._notes)):
            value, count = self._notes.popleft()
            sums[value] += count
        for value, count in sums.items():
            self._series.inc(count, {self._label: value})


def drain(notes: deque[Note]) -> list[Note]:
    """Remove and return the current notes. The event loop may append more meanwhile."""
    return [notes.popleft() for _ in range(len(notes))]
