"""Scores lists with an artifact's runtime, as in serving."""

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.artifact import Artifact
from models.atomic_directory import settled
from models.compress.quality import Scores
from models.compress.steps.base import Model
from models.errors import CompressionError, RuntimeFailure
from models.ragged import gather_positions
from models.runtimes import load_runtime, runtime_kind
from models.runtimes.base import RuntimeOptions
from models.runtimes.kinds.registry import runtime_config
from models.training.examples.lists import Lists

_LISTS_AT_ONCE, _CANDIDATES_AT_ONCE = 64, 16_384
_SCALES_EACH_CALL = b"DynamicQuantizeLinear"
"""The operator of ONNX graphs that scales activations by their range in the call."""


def runtime_of(artifact: Artifact) -> RuntimeOptions:
    """Return the runtime with which a model is measured, on one thread.

    It is the one that the artifact was compressed for, else the fastest one of its import, else ONNX Runtime, else
    PyTorch.

    Raises:
        RuntimeFailure: the artifact has neither.
    """
    has_graph = any(name.endswith(".onnx") for name in artifact.files)
    usual = "onnx" if has_graph else "torch" if artifact.architecture else None
    kind = artifact.lineage.get("compression", {}).get("runtime") or artifact.runtime or usual
    if kind is None:
        raise RuntimeFailure(
            f"artifact {artifact.name}: has no ONNX graph and no architecture for PyTorch, got "
            f"{', '.join(artifact.files)}; export it as ONNX"
        )
    return runtime_config(kind=kind, threads=1)


def scores_alone(model: Model) -> bool:
    """Return whether each list must be scored alone, because a score depends on the other lists in the call.

    A graph with dynamic int8 has one scale for the activations of the whole call. So lists that are scored together
    get coarser scores than each request alone.
    """
    suffix = runtime_kind(runtime_of(model.artifact)).suffix
    root = settled(model.root)
    graphs = [root / name for name in model.artifact.files if name.endswith(".onnx") and suffix == ".onnx"]
    return any(map(_scales_each_call, graphs))


def _scales_each_call(graph: Path) -> bool:
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_SCALES_EACH_CALL) >= 0


def runtime_scores(model: Model, lists: Lists, progress: Callable[[int], None] | None = None) -> Scores:
    """Return a model's scores (N,) of lists. Up to 64 lists are scored in one call, or one (see ``scores_alone``).

    Args:
        model: the artifact.
        lists: the lists. Their assembler is that of serving, for the model's signature.
        progress: called with the number of lists that are done.

    Raises:
        ModelError: the model cannot be loaded or executed.
    """
    runtime = load_runtime(settled(model.root), model.artifact, runtime_of(model.artifact))
    output, assembler = model.artifact.signature.outputs[0].name, lists.assembler
    scores = np.zeros(lists.batch.candidate_count, dtype=np.float32)
    longest, done = int(lists.batch.lengths.max(initial=1)), 0
    at_once = 1 if scores_alone(model) else max(1, min(_LISTS_AT_ONCE, _CANDIDATES_AT_ONCE // longest))
    for requests in lists.by_size(at_once):
        part = lists.batch.take(requests)
        if part.candidate_count:
            values = assembler.flatten(runtime.run(assembler(part)), part)[output]
            if values.size != part.candidate_count:
                raise RuntimeFailure(
                    f"output {output} of {model.artifact.name}: expected one number per candidate, got shape "
                    f"{values.shape} for {part.candidate_count} candidates; export a model that returns one"
                )
            scores[gather_positions(lists.batch.offsets, requests)[0]] = values.reshape(
                -1
            )  # trees return (N, 1)
        done += len(requests)
        if progress is not None:
            progress(done)
    return scores


def finite_scores(scores: Scores, teacher: Model) -> Scores:
    """Return a teacher's scores as they are.

    Raises:
        CompressionError: one of them is NaN or infinite, so no student can learn it.
    """
    faults = int(len(scores) - np.isfinite(scores).sum())
    if faults:
        raise CompressionError(
            f"teacher {teacher.artifact.name} {teacher.artifact.version}: its scores of lists must be finite, got NaN "
            f"or infinity for {faults} of {len(scores)} candidates; correct the features that it reads, or learn from "
            f"labels"
        )
    return scores
