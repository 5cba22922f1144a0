"""A cache of scores by token ids, with a limited number of entries."""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class TokenCache:
    """Keeps the scores of the texts that were requested last.

    Attributes:
        hits: how many requests found their text.
        asked: the number of requests.
    """

    def __init__(self, entries: int) -> None:
        """Make an empty cache."""
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._entries = entries
        self.hits = self.asked = 0

    def __contains__(self, tokens: NDArray[np.int32]) -> bool:
        """Look a text up, and count it."""
        self.asked += 1
        key = tokens.tobytes()
        if key not in self._scores:
            return False
        self.hits += 1
        self._scores.move_to_end(key)
        return True

    def add(self, tokens: NDArray[np.int32], score: float) -> None:
        """Add a text's score. The text that was not requested for longest is dropped if the cache is full."""
        self._scores[tokens.tobytes()] = score
        if len(self._scores) > self._entries:
            self._scores.popitem(last=False)
