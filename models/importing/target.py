"""The pipeline for which a model is imported, the user's decisions, and the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact import Artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError, SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.importing.comparison import Comparison
from models.importing.matching import ImportLayout, Matched, Missing
from models.ragged import RaggedBatch
from models.signature import OutputSpec, Signature

CANDIDATES = 200
"""Candidates of a request, if no stage of the pipeline uses the model."""


@dataclass(frozen=True)
class ImportOptions:
    """What the user decides about an import.

    Attributes:
        inputs: sources by input name, from ``--input``.
        missing: what replaces missing numbers in vectors.
        trained_on: features of the only input that ``inputs`` does not name, in order. None: matched by name.
        output: the output with the score, NAME or NAME:COLUMN. None: the only one that can be.
        layout: the layout of the graph's inputs. Converted models are flat.
    """

    inputs: Mapping[str, Sequence[str]]
    missing: Missing = "nan"
    trained_on: tuple[str, ...] | None = None
    output: str | None = None
    layout: ImportLayout = "flat"


@dataclass(frozen=True)
class Target:
    """The pipeline for which a model is imported.

    Attributes:
        definitions: the feature definitions.
        catalogue: the catalogue.
        golden: requests with all features, as the stage before the model gives them.
        name: the artifact's name.
        output: the output that the pipeline's stage reads.
        candidates: candidates of one request. Runtimes are compared at this number of rows.
    """

    definitions: FeatureSet
    catalogue: Catalogue
    golden: RaggedBatch
    name: str
    output: str
    candidates: int = CANDIDATES


@dataclass(frozen=True)
class Imported:
    """A written artifact.

    Attributes:
        report: one line per input, with its features.
        difference: the largest difference between the scores of the original library and of the graph. None if there
            is no original or no graph.
        problem: the reason for which the model has no graph. None: it has one.
        comparison: the measured times of the runtimes. None: only one can load the model.
    """

    artifact: Artifact
    report: tuple[str, ...]
    difference: float | None = None
    problem: str | None = None
    comparison: Comparison | None = None


def signature_of(matched: Matched, target: Target, layout: ImportLayout) -> Signature:
    """Return the artifact's signature."""
    return Signature(
        inputs=matched.inputs,
        outputs=(OutputSpec(name=target.output),),
        layout=layout,
        feature_hash=target.definitions.content_hash,
        vectors=matched.vectors or None,
    )


def assembled(signature: Signature, target: Target) -> dict[str, np.ndarray]:
    """Return the inputs of the golden requests.

    Raises:
        SignatureError: the pipeline cannot supply an input.
    """
    try:
        return InputAssembler(signature, target.catalogue)(target.golden)
    except KeyError as error:
        raise SignatureError(
            f"the model needs the input {error}, which neither the feature definitions nor an earlier stage provide"
        ) from error


def expect_scores(scores: np.ndarray, target: Target, signature: Signature) -> None:
    """Check that the golden requests have one finite score for each candidate.

    Raises:
        SignatureError: the scores have another shape or type.
        ArtifactError: scores are NaN or infinite.
    """
    count = target.golden.candidate_count
    padded = signature.layout != "flat"
    if not padded and scores.size != count:
        raise SignatureError(
            f"output {target.output}: expected one number per candidate, got shape {scores.shape} for {count} "
            f"candidates; name another output or one column with --output"
        )
    if scores.dtype.kind not in "fiub":
        raise SignatureError(
            f"output {target.output}: expected numbers, got {scores.dtype}; name another output"
        )
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise ArtifactError(
            f"output {target.output}: {bad} of {scores.size} scores of golden requests are NaN or infinite; if the "
            f"model does not accept missing values, import it with --missing and a number"
        )
