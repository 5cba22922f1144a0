"""How layers are cut into stages, and batches into micro-batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

OVERHEAD_ROWS = 16
"""Time to read a layer's weights for a micro-batch, in activation rows that take as long to compute.

With one thread it was 13 rows for a `large` ranker of the walks, 17 for BERT-base and 21 for MiniLM (AVX-512, fp32).
"""
MOST_ROUNDS = 12
"""Maximum rounds on CPUs. With more rounds ranks wait less for the first and last parts, but exchange more messages."""


def distribute(sizes: Sequence[int], ranks: int, most_rounds: int) -> list[tuple[range, ...]]:
    """Distribute layers over ranks, in the number of rounds with the least time.

    In each round the ranks wait for the rank with the largest stage. Of equally good numbers of rounds, the highest one
    is chosen.

    Args:
        sizes: the layers' sizes.
        ranks: number of ranks.
        most_rounds: maximum number of rounds.

    Returns:
        Each rank's run of layers in each round.

    Raises:
        ValueError: there are fewer layers than ranks.
    """
    most = max(1, min(most_rounds, len(sizes) // ranks))
    choices = [cut(sizes, rounds * ranks) for rounds in range(most, 0, -1)]

    def cost(stages: list[range]) -> int:
        weights = [sum(sizes[layer] for layer in stage) for stage in stages]
        return sum(max(weights[start : start + ranks]) for start in range(0, len(weights), ranks))

    stages = min(choices, key=cost)
    return [tuple(stages[rank::ranks]) for rank in range(ranks)]


def cut(sizes: Sequence[int], ranks: int) -> list[range]:
    """Cut a sequence of sizes into one run per rank. Each cut is as near to equal shares as possible.

    Raises:
        ValueError: there are fewer sizes than ranks.
    """
    if len(sizes) < ranks:
        raise ValueError(
            f"runtime.shards: must be at most the number of layers, {len(sizes)}, got {ranks}; lower it"
        )
    ends = [0, *accumulate(sizes)]
    bounds = [0]
    for run in range(1, ranks):
        allowed = range(
            bounds[-1] + 1, len(sizes) - (ranks - run) + 1
        )  # leaves at least one size for each other run
        target = ends[-1] * run / ranks
        bounds.append(min(allowed, key=lambda end: abs(ends[end] - target)))
    return [range(*pair) for pair in zip(bounds, [*bounds[1:], len(sizes)], strict=True)]


def runs(count: int, number: int) -> list[tuple[int, int]]:
    """Cut elements into consecutive runs of nearly equal length. Return each run's start and length."""
    ends = [count * run // number for run in range(number + 1)]
    return [(start, end - start) for start, end in pairwise(ends)]


@dataclass(frozen=True)
class Cutting:
    """Chooses the number of micro-batches for a batch.

    Attributes:
        ranks: number of ranks.
        rounds: number of stages for each rank.
        most: maximum number of micro-batches.
    """

    ranks: int
    rounds: int
    most: int

    def number(self, count: int, rows: int, first_rows: int = 0) -> int:
        """Return the number of micro-batches that should take the least time.

        Args:
            count: number of elements that can be in different micro-batches.
            rows: activation rows in each element.
            first_rows: rows of another part, which passes the ranks before the micro-batches. 0 means none.
        """
        first = first_rows + OVERHEAD_ROWS if first_rows else 0

        def cost(number: int) -> int:
            """Return the time that the ranks need, in rows of one stage.

            In each round a rank is busy with all parts, or waits until the longest part has passed all ranks.
            """
            part = -(-count // number) * rows + OVERHEAD_ROWS
            longest = max(first, part)
            busy = first + count * rows + number * OVERHEAD_ROWS
            return self.rounds * max(busy, self.ranks * longest) + (self.ranks - 1) * longest

        return min(range(1, max(1, min(count, self.most)) + 1), key=cost)
