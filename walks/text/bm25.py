"""BM25 scores, the lexical baseline for text rankers."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from walks.text.queries import QuerySet


def bm25(query_set: QuerySet, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> NDArray[np.float32]:
    """Return each query's BM25 scores (Robertson & Zaragoza 2009) with its candidates' texts, (Q, C)."""
    words = [Counter(_words(text)) for text in texts]
    lengths = [counter.total() for counter in words]
    document_count = Counter(word for counter in words for word in counter)
    mean = sum(lengths) / len(lengths)

    def score(query: str, row: int) -> float:
        norm = k1 * (1 - b + b * lengths[row] / mean)
        return sum(
            math.log1p((len(texts) - document_count[word] + 0.5) / (document_count[word] + 0.5))
            * (words[row][word] * (k1 + 1) / (words[row][word] + norm))
            for word in _words(query)
        )

    scores = [
        [score(query, row) for row in rows]
        for query, rows in zip(query_set.queries, query_set.rows, strict=True)
    ]
    return np.array(scores, dtype=np.float32)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
