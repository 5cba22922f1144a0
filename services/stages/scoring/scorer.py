"""Scorers: a loaded artifact with its runtime and its input assembly."""

from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from models.runtimes import load_runtime
from models.runtimes.base import MOST_INSTANCES, Runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RuntimeConfig
from models.text.scorer import PairScorer, TextConfig
from services.errors import StageFailed
from services.stages.scoring.micro_batches import in_micro_batches
from services.stages.scoring.turns import LoadRuntime


class ModelConfig(BaseModel):
    """A named model.

    Attributes:
        artifact: the artifact's folder, relative to the home.
        instances: the number of batches that a replica scores with the model at once, each on a thread of its own. They
            share the loaded model. A replica has as many model threads as the model with the most instances in its
            unit. A batch waits for its turn if all instances of a model are in use.
        micro_batch_candidates: the most candidates in one call of the model, except for a single request with more.
            With None, a batch is one call.
        text: options for a model that reads texts. Such a model does not use ``micro_batch_candidates``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    runtime: RuntimeConfig = OnnxConfig()
    instances: int = Field(default=1, ge=1, le=MOST_INSTANCES)
    micro_batch_candidates: int | None = Field(default=None, ge=1)
    text: TextConfig = TextConfig()


class Scorer(Protocol):
    """A release's model, which scores batches with that release.

    Attributes:
        is_warm: whether the model has run on every batch shape.
    """

    is_warm: bool

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        """Return a model output, one number per candidate, as float32 (N,).

        Raises:
            StageFailed: the output has another shape.
        """
        ...


@dataclass(slots=True)
class Warmth:
    """Whether a loaded model has run on every batch shape. All scorers with this model share it."""

    is_warm: bool = False


class ModelScorer:
    """A release's model, ready to run on that release's batches."""

    def __init__(
        self, config: ModelConfig, catalogue: Catalogue, home: Path, load: LoadRuntime = load_runtime
    ) -> None:
        """Load and verify the artifact, and run its golden requests if it has any.

        Raises:
            ArtifactError: the artifact cannot be used.
            FeatureMismatch: the artifact was trained with other features than this catalogue's.
            SignatureError: this pipeline cannot supply an input.
            RuntimeFailure: the runtime cannot run the model.
            GoldenMismatch: the scores differ from the scores at the artifact's export.
        """
        root = settled(home / config.artifact)
        self.catalogue = catalogue
        self._warmth = Warmth()
        self._first: Self | None = (
            None  # shared parts find a loaded model by its first scorer, which must stay
        )
        self.artifact = Artifact.load(root, feature_hash=catalogue.manifest.feature_hash)
        self._scorer: _ArrayScorer | PairScorer
        if self.artifact.signature.pair is None:
            self._scorer = _ArrayScorer(self.artifact, catalogue, config.micro_batch_candidates)
        else:
            self._scorer = PairScorer(root, self.artifact.signature, catalogue, config.text)
        self._runtime = load(root, self.artifact, config.runtime)
        check_golden(root, self.artifact, self._runtime, narrow=config.runtime.is_narrow)

    @property
    def is_warm(self) -> bool:
        """Whether the model has run on every batch shape. Releases that share the model need not warm it up again."""
        return self._warmth.is_warm

    @is_warm.setter
    def is_warm(self, is_warm: bool) -> None:
        self._warmth.is_warm = is_warm

    def over(self, catalogue: Catalogue) -> Self:
        """Return a scorer with the same loaded model, for a later state of the catalogue.

        Raises:
            SignatureError: an added item lacks a text that the model reads.
        """
        other = copy(self)
        other.catalogue, other._first = catalogue, self._first or self
        other._scorer = self._scorer.over(catalogue)
        return other

    def scores(self, batch: RaggedBatch, output: str) -> NDArray[np.float32]:
        """Return a model output, one number per candidate, as float32 (N,).

        Raises:
            StageFailed: the output has another shape.
        """
        return self._scorer.scores(batch, output, self._runtime)


class _ArrayScorer:
    """A model that reads arrays."""

    def __init__(self, artifact: Artifact, catalogue: Catalogue, micro_batch: int | None) -> None:
        self._artifact, self._assembler = artifact, InputAssembler(artifact.signature, catalogue)
        self._micro_batch = micro_batch

    def over(self, catalogue: Catalogue) -> "_ArrayScorer":
        return _ArrayScorer(self._artifact, catalogue, self._micro_batch)

    def scores(self, batch: RaggedBatch, output: str, runtime: Runtime) -> NDArray[np.float32]:
        return in_micro_batches(batch, self._micro_batch, lambda part: self._scores(part, output, runtime))

    def _scores(self, batch: RaggedBatch, output: str, runtime: Runtime) -> NDArray[np.float32]:
        values = runtime.run(self._assembler(batch))[output]
        return scores_of(self._artifact, self._assembler, values, batch, output)


def scores_of(
    artifact: Artifact, assembler: InputAssembler, values: NDArray[Any], batch: RaggedBatch, output: str
) -> NDArray[np.float32]:
    """Return the model's ``values`` for ``output``, which are in the model's own layout, as float32 (N,).

    Raises:
        StageFailed: the model did not return one number per candidate.
    """
    scores = assembler.flatten({output: values}, batch)[output]
    if scores.size != batch.candidate_count:
        raise StageFailed(
            f"output {output} of {artifact.name}: expected one number per candidate, got shape {values.shape} for "
            f"{batch.candidate_count} candidates in {len(batch)} requests; export a model with one number per candidate"
        )
    return scores.reshape(-1).astype(np.float32, copy=False)  # models often return (N, 1)
