"""What a rank of a pipeline runs: its share of the layers, on one micro-batch after another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

from torch import Tensor, nn

FEWEST_ROWS = 32
"""With fewer rows of activations a product takes as long, as it waits for its weights to be read."""


@dataclass(frozen=True)
class MicroBatch:
    """What of a batch goes through the stages at once.

    shape: of the activations between any two stages. work: takes those that come in, None at the first stage, and
    gives those that go out; at the last the scores, or None where there are none of this part.
    """

    shape: tuple[int, ...]
    work: Callable[[Tensor | None], Tensor | None]


@dataclass(frozen=True)
class Schedule:
    """A batch in parts, the same at all ranks; scores of ``shape`` are those of the parts along ``axis``."""

    parts: Sequence[MicroBatch]
    shape: tuple[int, ...]
    axis: int = 0


class PipelineStage(Protocol):
    """One rank's part of a model."""

    def owns(self, name: str) -> bool:
        """Say whether this stage needs that tensor of the whole module's state."""
        ...

    def ready(self) -> None:
        """Begin to work: the tensors that it owns have been loaded."""
        ...

    def schedule(self, inputs: Mapping[str, Tensor], micro_batches: int) -> Schedule:
        """Give how the batch goes through the stages; nothing has been computed yet.

        Raises:
            KeyError: an input is lacking that all ranks need.
        """
        ...


@dataclass(frozen=True)
class Share:
    """Which of a module's layers are one rank's, and what beside them.

    path: of the list of layers. before, beside: prefixes of what runs before the layers, and of what the layers of all
    ranks use; everything else runs after the last layer.
    """

    path: str
    layers: range
    total: int
    before: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether what runs before the layers is this rank's."""
        return self.layers.start == 0

    @property
    def is_last(self) -> bool:
        """Whether what runs after the layers is this rank's."""
        return self.layers.stop == self.total

    def owns(self, name: str) -> bool:
        """Say whether a tensor is this rank's."""
        if name.startswith(f"{self.path}."):
            return int(name.removeprefix(f"{self.path}.").partition(".")[0]) in self.layers
        if _is_in(name, self.before):
            return self.is_first
        return self.is_last or _is_in(name, self.beside)


def share_of(layers: nn.ModuleList, rank: int, ranks: int) -> range:
    """Give the layers of a rank, by their bytes.

    What is before and after them does not count: a lookup takes no time, and all ranks are to take the same.

    Raises:
        ValueError: there are fewer layers than ranks.
    """
    return cut([sum(p.numel() * p.itemsize for p in layer.parameters()) for layer in layers], ranks)[rank]


def cut(sizes: Sequence[int], ranks: int) -> list[range]:
    """Cut a row of sizes into as many runs, each at the end that is nearest to an equal share.

    Raises:
        ValueError: there are fewer sizes than runs.
    """
    if len(sizes) < ranks:
        raise ValueError(
            f"runtime.shards: must be at most the number of layers, {len(sizes)}, got {ranks}; lower it"
        )
    ends = [0, *accumulate(sizes)]
    bounds = [0]
    for run in range(1, ranks):
        allowed = range(bounds[-1] + 1, len(sizes) - (ranks - run) + 1)  # one at least for each of the others
        wanted = ends[-1] * run / ranks
        bounds.append(min(allowed, key=lambda end: abs(ends[end] - wanted)))
    return [range(*pair) for pair in zip(bounds, [*bounds[1:], len(sizes)], strict=True)]


def runs(count: int, rows: int, most: int) -> list[tuple[int, int]]:
    """Give starts and lengths of at most so many runs of ``count`` places, nearly equal and none empty.

    rows: of a place; fewer runs are made where they would have too few.
    """
    number = max(1, min(count, most, count * rows // FEWEST_ROWS))
    ends = [count * run // number for run in range(number + 1)]
    return [(start, end - start) for start, end in pairwise(ends)]


def _is_in(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
