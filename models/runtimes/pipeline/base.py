"""The interface of a rank's stages, and each rank's share of a module."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from models.runtimes.pipeline.cutting import Cutting, distribute


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

    def schedule(self, inputs: Mapping[str, Tensor], cutting: Cutting) -> Schedule:
        """Cut the batch into parts, without computing activations.

        Args:
            inputs: the inputs by name.
            cutting: chooses the number of micro-batches.

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


def stages_of(layers: nn.ModuleList, ranks: int, most_rounds: int) -> list[tuple[range, ...]]:
    """Return each rank's stages, as indices of layers. All ranks get about the same layer bytes.

    Submodules before and after the layers do not count: an embedding lookup takes almost no time, and the ranks should
    take equally long.

    Raises:
        ValueError: there are fewer layers than ranks.
    """
    sizes = [sum(p.numel() * p.itemsize for p in layer.parameters()) for layer in layers]
    return distribute(sizes, ranks, most_rounds)


def _is_in(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
