"""The interface of pipeline stages, and functions that share out layers and cut batches into micro-batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

from torch import Tensor, nn

FEWEST_ROWS = 32
"""Minimum activation rows in a micro-batch. Fewer rows are not faster, because reading the weights dominates."""


MOST_ROUNDS = 8
"""Maximum rounds. With more rounds ranks wait less for the first and last parts, but exchange more messages."""


@dataclass(frozen=True)
class MicroBatch:
    """A part of a batch. Each stage computes the part in one step.

    Attributes:
        shape: activation shape between any two stages.
        work: runs one of this rank's stages, given the stage's round and the incoming activations. Returns the
            outgoing activations. The first stage gets None. The last stage returns scores, or None if this part has no
            scores.
    """

    shape: tuple[int, ...]
    work: Callable[[int, Tensor | None], Tensor | None]


@dataclass(frozen=True)
class Schedule:
    """A batch's parts, the same at all ranks.

    Attributes:
        parts: the parts, in the order in which they pass the stages.
        shape: score shape for the whole batch.
        axis: axis along which the parts' scores are concatenated.
    """

    parts: Sequence[MicroBatch]
    shape: tuple[int, ...]
    axis: int = 0


class RankStages(Protocol):
    """One rank's stages of a model, one for each round in which a micro-batch passes the ranks.

    Attributes:
        rounds: number of stages.
    """

    rounds: int

    def owns(self, name: str) -> bool:
        """Return whether these stages need the tensor with this name in the whole module's state."""
        ...

    def ready(self) -> None:
        """Prepare the module to run these stages only. Call this after the stages' tensors are loaded."""
        ...

    def schedule(self, inputs: Mapping[str, Tensor], micro_batches: int) -> Schedule:
        """Cut the batch into parts, without computing activations.

        Args:
            inputs: the inputs by name.
            micro_batches: maximum number of micro-batches in the schedule.

        Raises:
            KeyError: an input that all ranks need is missing.
        """
        ...


@dataclass(frozen=True)
class Share:
    """One rank's share of a module: some runs of layers, and submodules outside the layers.

    Submodules that are neither in the layers nor in ``before`` or ``beside`` run after the last layer.

    Attributes:
        path: dotted name of the layer list.
        stages: indices of this rank's layers, one run of consecutive layers for each round.
        total: number of layers in the module.
        before: names of submodules that run before the layers.
        beside: names of submodules that the layers on all ranks use.
    """

    path: str
    stages: tuple[range, ...]
    total: int
    before: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether this rank runs the submodules before the layers."""
        return self.stages[0].start == 0

    @property
    def is_last(self) -> bool:
        """Whether this rank runs the submodules after the layers."""
        return self.stages[-1].stop == self.total

    def owns(self, name: str) -> bool:
        """Return whether this rank needs the named tensor."""
        if name.startswith(f"{self.path}."):
            layer = int(name.removeprefix(f"{self.path}.").partition(".")[0])
            return any(layer in layers for layers in self.stages)
        if _is_in(name, self.before):
            return self.is_first
        return self.is_last or _is_in(name, self.beside)


def stages_of(layers: nn.ModuleList, ranks: int) -> list[tuple[range, ...]]:
    """Return each rank's stages, as indices of layers. All ranks get about the same layer bytes.

    Submodules before and after the layers do not count: an embedding lookup takes almost no time, and the ranks should
    take equally long.

    Raises:
        ValueError: there are fewer layers than ranks.
    """
    return distribute([sum(p.numel() * p.itemsize for p in layer.parameters()) for layer in layers], ranks)


def distribute(sizes: Sequence[int], ranks: int) -> list[tuple[range, ...]]:
    """Distribute layers over ranks in the most rounds, up to ``MOST_ROUNDS``, that give no rank more than one round.

    Args:
        sizes: the layers' sizes.
        ranks: number of ranks.

    Returns:
        Each rank's run of layers in each round.

    Raises:
        ValueError: there are fewer layers than ranks.
    """
    most_rounds = max(1, min(MOST_ROUNDS, len(sizes) // ranks))
    choices = [cut(sizes, rounds * ranks) for rounds in range(most_rounds, 0, -1)]
    shares = [[tuple(choice[rank::ranks]) for rank in range(ranks)] for choice in choices]

    def heaviest(share: list[tuple[range, ...]]) -> int:
        return max(sum(sizes[layer] for run in stages for layer in run) for stages in share)

    return min(shares, key=heaviest)  # the first one of equally good choices has the most rounds


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


def runs(count: int, rows: int, max_runs: int) -> list[tuple[int, int]]:
    """Cut ``count`` elements into consecutive runs of nearly equal length, none of them empty.

    Args:
        count: number of elements, such as chunks.
        rows: activation rows per element.
        max_runs: maximum number of runs. There are fewer if a run would have less than ``FEWEST_ROWS`` rows.

    Returns:
        Each run's start and length.
    """
    number = max(1, min(count, max_runs, count * rows // FEWEST_ROWS))
    ends = [count * run // number for run in range(number + 1)]
    return [(start, end - start) for start, end in pairwise(ends)]


def _is_in(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
