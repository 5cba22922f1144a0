"""A counter that is noted anywhere and handed to Ray by the flusher's thread."""

from collections import Counter as Tally
from collections import deque
from collections.abc import Mapping
from typing import TypeVar

from ray.util import metrics

Note = TypeVar("Note")


class LabelledCount:
    """One series with a label of its own beside its fixed ones."""

    def __init__(self, name: str, description: str, tags: Mapping[str, str], label: str) -> None:
        """Declare it."""
        self._label = label
        self._series = metrics.Counter(name, description, (*tags, label))
        self._series.set_default_tags(dict(tags))
        self._notes: deque[tuple[str, int]] = deque()

    def add(self, value: str, count: int = 1) -> None:
        """Note ``count`` more with the label's ``value``."""
        self._notes.append((value, count))

    def flush(self) -> None:
        """Hand the notes to Ray; the loop may add some meanwhile."""
        sums: Tally[str] = Tally()
        for _ in range(len(self._notes)):
            value, count = self._notes.popleft()
            sums[value] += count
        for value, count in sums.items():
            self._series.inc(count, {self._label: value})


def drain(notes: deque[Note]) -> list[Note]:
    """Take what is there; the loop may append meanwhile."""
    return [notes.popleft() for _ in range(len(notes))]
