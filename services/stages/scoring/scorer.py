"""Scorers: a loaded artifact with its runtime and the assembly of its inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.text.scorer import PairScorer, TextConfig
from services.errors import StageFailed


class ModelConfig(BaseModel):
    """A named model: its artifact, relative to the home, and how it is executed; text: of one that reads texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    runtime: RuntimeConfig = OnnxConfig()
    text: TextConfig = TextConfig()


class Scorer(Protocol):
    """A model of one release that scores that release's batches.

    is_warm: it has run on every batch shape already.
    """

    is_warm: bool

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        """Give one of the model's outputs, float32 (N,): a number for every candidate.

        Raises:
            StageFailed: the output is of another shape.
        """
        ...


LoadRuntime = Callable[[Path, Artifact, RuntimeConfig], Runtime]
"""Opens an artifact at a path: ``models.runtimes.load_runtime``, or in all ranks of a shard group."""


class ModelScorer:
    """One model of one release, ready to run on that release's batches."""

    def __init__(
        self, config: ModelConfig, catalogue: Catalogue, home: Path, load: LoadRuntime = load_runtime
    ) -> None:
        """Load, verify and run the artifact's golden requests, where it has some.

        Raises:
            ArtifactError, FeatureMismatch: the artifact cannot be used with this catalogue.
            SignatureError: an input cannot be had from this pipeline. RuntimeFailure: the runtime refuses it.
            GoldenMismatch: it gives other scores than at its export.
        """
        root = settled(home / config.artifact)
        self.catalogue = catalogue
        self.is_warm = False
        """Whether it has run on every batch shape; releases that share it need not warm it again."""
        self.artifact = Artifact.load(root, feature_hash=catalogue.manifest.feature_hash)
        self._scorer = _scorer(root, self.artifact, catalogue, config.text)
        self._runtime = load(root, self.artifact, config.runtime)
        check_golden(root, self.artifact, self._runtime, narrow=config.runtime.is_narrow)

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        """Give one of the model's outputs, float32 (N,): a number for every candidate.

        Raises:
            StageFailed: the output is of another shape.
        """
        return self._scorer.scores(batch, output, self._runtime)


class _ArrayScorer:
    """A model of arrays: one call of it a batch."""

    def __init__(self, artifact: Artifact, catalogue: Catalogue) -> None:
        self._artifact, self._assembler = artifact, InputAssembler(artifact.signature, catalogue)

    def scores(self, batch: RaggedBatch, output: str, runtime: Runtime) -> NDArray[np.float32]:
        values = runtime.run(self._assembler(batch))[output]
        return scores_of(self._artifact, self._assembler, values, batch, output)


def _scorer(
    root: Path, artifact: Artifact, catalogue: Catalogue, text: TextConfig
) -> _ArrayScorer | PairScorer:
    if artifact.signature.pair is None:
        return _ArrayScorer(artifact, catalogue)
    return PairScorer(root, artifact.signature, catalogue, text)


def scores_of(
    artifact: Artifact, assembler: InputAssembler, values: NDArray[Any], batch: RaggedBatch, output: str
) -> NDArray[np.float32]:
    """Give what a model gave as ``output``, in its own layout, as float32 (N,).

    Raises:
        StageFailed: it is not one number a candidate.
    """
    scores = assembler.flatten({output: values}, batch)[output]
    if scores.size != batch.candidate_count:
        raise StageFailed(
            f"output {output} of {artifact.name}: expected one number per candidate, got shape {values.shape} for "
            f"{batch.candidate_count} candidates in {len(batch)} requests; export a model with one number per candidate"
        )
    return scores.reshape(-1).astype(np.float32, copy=False)  # models often give (N, 1)
