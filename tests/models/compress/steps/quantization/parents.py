"""Parents of quantised models: small artifacts with golden requests, and their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.compress.steps.base import Model, Outcome, Split, Work
from models.compress.steps.quantization import STEP
from models.compress.steps.quantization.options import QuantizeOptions
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.runtimes.onnx import OnnxRuntime
from models.signature import Inputs, Signature
from models.training.examples.lists import Lists
from tests.models.runtimes.artifacts import write_model
from tests.models.worlds import FEATURES, make_batch, make_ranker

COUNT = 24


@dataclass(frozen=True)
class SmallData:
    """Lists whose best item has the highest score of the parent."""

    catalogue: Catalogue
    count: int = COUNT

    def lists(self, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        count = min(self.count, limit or self.count)
        random = np.random.default_rng(len(split))
        lengths, past = random.integers(3, 9, count), random.integers(0, 8, count)
        batch: RaggedBatch = make_batch(lengths.tolist(), past.tolist(), seed=len(split))
        labels = (random.random(batch.candidate_count) < 0.3).astype(np.float32)
        return Lists(batch, labels, InputAssembler(signature, self.catalogue, whole_lists=True))

    def taught(self, teacher: Model, split: Split, signature: Signature, limit: int | None = None) -> Lists:
        return self.lists(split, signature, limit)


def write_parent(
    root: Path, module: Architecture, golden: Inputs | None = None, feature_hash: str = ""
) -> Model:
    return Model(root, write_model(root, module, feature_hash, golden, onnx=True))


def write_ranker(root: Path, catalogue: Catalogue, module: Architecture | None = None) -> Model:
    module = module or make_ranker()
    return write_parent(root, module, ranker_inputs(module, catalogue), FEATURES.content_hash)


def ranker_inputs(
    module: Architecture,
    catalogue: Catalogue,
    lengths: Sequence[int] = (20, 3, 5),
    past: Sequence[int] = (2, 0, 4),
) -> Inputs:
    signature = module.signature(FEATURES.content_hash)
    return InputAssembler(signature, catalogue)(make_batch(list(lengths), list(past)))


def work_for(parent: Model, catalogue: Catalogue, scratch: Path, count: int = COUNT) -> Work:
    return Work(parent, SmallData(catalogue, count), scratch, "key", lambda *_, **__: None)


def quantise(
    parent: Model, root: Path, catalogue: Catalogue, count: int = COUNT, **options: Any
) -> tuple[Model, Outcome]:
    """Run the step."""
    scratch = root.with_name(f"{root.name}-scratch")
    work = work_for(parent, catalogue, scratch, count)
    outcome = STEP.run(QuantizeOptions(**options), parent, root, work)
    return Model(root, Artifact.load(root)), outcome


def scores(model: Model, inputs: Inputs) -> np.ndarray:
    artifact = model.artifact
    name = next(name for name in artifact.files if name.endswith(".onnx"))
    return OnnxRuntime(model.root / name, artifact.signature).run(inputs)[artifact.signature.outputs[0].name]
