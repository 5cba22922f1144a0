"""Parents and work for steps: artifacts of small modules, and random lists for any architecture."""

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.compress.steps.base import Model, Split, Work
from models.compress.steps.modules import loaded
from models.datasets.files.progress import silent
from models.features.catalogue import Catalogue
from models.padding import mask_of
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.golden import golden_fault
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs, Signature
from models.training.examples.lists import Lists
from models.training.scoring import score
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.shapes import random_inputs
from tests.models.worlds import make_batch

TOLERANCE = 1e-4
LISTS = {"train": 96, "select": 24, "report": 24}
SHAPE = {"requests": 3, "extra_chunks": 1, "candidates": 5, "longest": 4, "tokens": 6}


class RandomAssembler(InputAssembler):
    """Returns random inputs for any signature. The same lists always get the same inputs."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    def __call__(self, batch: RaggedBatch) -> Inputs:
        signature = self._signature
        is_flat = signature.layout in {"flat", "pairs"}
        candidates = batch.candidate_count if is_flat else int(batch.lengths.max())
        lengths = {**SHAPE, "requests": len(batch), "extra_chunks": 0, "candidates": candidates}
        inputs = dict(random_inputs(signature, lengths, seed=zlib.crc32(batch.rows.tobytes())))
        known: dict[str, NDArray[Any]] = {
            "batch.chunk_of": np.arange(len(batch)),
            "batch.request_of": batch.request_of(),
            "batch.mask": mask_of(batch.offsets),
        }
        for spec in signature.inputs:
            if spec.source in known:
                inputs[spec.name] = known[spec.source]
        return inputs


@dataclass(frozen=True)
class RandomData:
    """Lists of 2 to 6 candidates, one with the label 1."""

    catalogue: Catalogue

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        count = min(LISTS[split], limit or LISTS[split])
        random = np.random.default_rng(zlib.crc32(split.encode()))
        lengths = random.integers(2, 7, count).tolist()
        batch = make_batch(lengths, random.integers(0, 5, count).tolist(), seed=len(split))
        labels = np.zeros(batch.candidate_count, dtype=np.float32)
        labels[batch.offsets[:-1] + random.integers(0, lengths)] = 1.0
        return Lists(batch, labels, RandomAssembler(signature))

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        lists = self.lists(split, signature, limit)
        own = replace(lists, assembler=RandomAssembler(teacher.artifact.signature))
        scores = score(loaded(teacher, "test"), own)
        column = "teacher" if "candidate.score" in signature.columns else "score"
        return replace(lists, batch=lists.batch.adding(candidates={column: scores}))


def make_parent(root: Path, module: Architecture, feature_hash: str = "") -> Model:
    """Write a module as an artifact, with golden requests."""
    golden = random_inputs(module.signature(feature_hash), SHAPE, seed=5)
    return Model(root, write_model(root, module, feature_hash, golden, onnx=True))


def make_work(original: Model, scratch: Path, data: Any) -> Work:
    """Return the work for one step."""
    return Work(original=original, data=data, scratch=scratch, key="key", progress=silent)


def child_of(root: Path) -> Model:
    """Return the verified artifact at ``root``."""
    artifact = Artifact.load(root)
    artifact.check_version(root)
    return Model(root, artifact)


def scores_of(module: Architecture, seed: int = 0, **lengths: int) -> torch.Tensor:
    """Return the module's scores for random inputs."""
    inputs = random_inputs(module.signature(""), {**SHAPE, **lengths}, seed)
    with torch.inference_mode():
        scores: torch.Tensor = module.eval()({k: torch.from_numpy(v) for k, v in inputs.items()})
    return scores


def assert_serves(child: Model) -> None:
    """Compare the child's graph and module, by golden requests and by other shapes."""
    graph = load_runtime(child.root, child.artifact, runtime_config(kind="onnx"))
    assert golden_fault(child.root, graph) is None
    for seed, longest in enumerate((0, 7)):
        inputs = random_inputs(child.artifact.signature, {**SHAPE, "longest": longest}, seed)
        expected = scores_of(loaded(child, "test"), seed, longest=longest).numpy()
        np.testing.assert_allclose(graph.run(inputs)["score"], expected, atol=TOLERANCE, rtol=TOLERANCE)
