"""The inputs on which a step calibrates activations and measures layers: lists, each in a call of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from models.compress.steps.base import Split, Work
from models.compress.steps.quantization.graph import Graph
from models.errors import TrainingError
from models.runtimes.onnx import OnnxSession
from models.signature import Inputs, Signature
from models.training.metrics import list_ndcg

if TYPE_CHECKING:
    from models.training.examples.lists import Lists


@dataclass(frozen=True, slots=True)
class Calls:
    """Lists as the calls of a model. One list in a call has no padding, which would count as activations.

    Attributes:
        inputs: each list's inputs, which are assembled whenever they are read.
        labels: each list's labels.
    """

    inputs: Sequence[Inputs]
    labels: Sequence[NDArray[np.float32]]

    @classmethod
    def of(cls, work: Work, signature: Signature, split: Split, limit: int) -> Self:
        """Return at most ``limit`` lists of a split, without empty lists.

        Raises:
            TrainingError: there are none.
        """
        lists = work.data.lists(split, signature, limit)
        indices = np.flatnonzero(lists.batch.lengths > 0)[:limit].tolist()
        if not indices:
            raise TrainingError(
                f"quantize: calibration requires at least one list with a candidate, got none in the split "
                f"{split}; build a larger data set"
            )
        ends = lists.batch.offsets
        labels = [lists.labels[ends[index] : ends[index + 1]] for index in indices]
        return cls(_Assembled(lists, indices), labels)


class _Assembled(Sequence[Inputs]):
    """The inputs of lists. They are not kept, because those of many lists fill the memory."""

    def __init__(self, lists: "Lists", indices: Sequence[int]) -> None:
        self._lists, self._indices = lists, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Inputs: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Inputs]: ...

    def __getitem__(self, index: int | slice) -> Inputs | Sequence[Inputs]:
        if isinstance(index, slice):
            return _Assembled(self._lists, self._indices[index])
        step = self._lists.step(np.array([self._indices[index]]))
        return {name: values.numpy() for name, values in step.inputs.items()}


def run_graph(graph: Graph, calls: Calls, outputs: Sequence[str]) -> Iterator[list[NDArray[Any]]]:
    """Yield each call's values with the given names, which may be inner values of the graph.

    Raises:
        RuntimeFailure: ONNX Runtime cannot execute the graph.
    """
    model, weights = graph.in_memory(outputs)
    session = OnnxSession(model, str(graph.path), weights=weights)
    for inputs in calls.inputs:
        given = {name: values for name, values in inputs.items() if name in session.inputs}
        found = session.run(outputs, given)
        yield [found[name] for name in outputs]


def scores_of(graph: Graph, calls: Calls, output: str) -> list[NDArray[np.float32]]:
    """Return each list's scores.

    Raises:
        RuntimeFailure: ONNX Runtime cannot execute the graph.
    """
    found = run_graph(graph, calls, [output])
    return [values.reshape(-1)[: len(labels)] for (values,), labels in zip(found, calls.labels, strict=True)]


def ndcg_of(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Return one list's NDCG@10. NaN without a label above 0."""
    return float(list_ndcg(scores[: len(labels)], labels, np.array([0, len(labels)]))[0])
