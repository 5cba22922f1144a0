"""Import a model file: match its inputs, run golden requests on the graph, and write the artifact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import Artifact, sha256_of, write_artifact
from models.assembly import InputAssembler
from models.errors import ArtifactError, SignatureError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.importing import lightgbm, scikit_learn, xgboost
from models.importing.converted import INPUT, Original, converted, features_of, largest_difference
from models.importing.formats import Format
from models.importing.known_features import KnownFeatures
from models.importing.matching import ImportLayout, Matched, Missing, match
from models.importing.onnx_graph import ONNX, Graph, GraphTensor, chosen_output, read_graph, with_score
from models.ragged import RaggedBatch
from models.runtimes.golden import check_golden, write_golden
from models.runtimes.onnx import OnnxRuntime
from models.signature import OutputSpec, Signature

ORIGINALS = {"lightgbm": lightgbm.load, "xgboost": xgboost.load, "scikit-learn": scikit_learn.load}
"""The formats that are converted, by the functions that load them."""


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
    """

    definitions: FeatureSet
    catalogue: Catalogue
    golden: RaggedBatch
    name: str
    output: str


@dataclass(frozen=True)
class Imported:
    """A written artifact.

    Attributes:
        report: one line per input, with its features.
        difference: the largest difference from the original library's scores. None for an ONNX model.
    """

    artifact: Artifact
    report: tuple[str, ...]
    difference: float | None


def import_model(source: Path, kind: Format, root: Path, target: Target, options: ImportOptions) -> Imported:
    """Write an artifact for an ONNX model, or one that is converted to ONNX.

    Args:
        source: the model's file.
        kind: its format.
        root: the artifact's folder. An existing artifact is replaced, if everything succeeds.
        target: the pipeline.
        options: the user's decisions.

    Raises:
        ArtifactError: the file cannot be used, or the conversion changes the scores.
        SignatureError: an input has no feature, or the scores have another shape.
        RuntimeFailure: the model fails on the golden requests.
        GoldenMismatch: scores are NaN or infinite.
        MissingPackage: a package of the extra import is not installed.
    """
    known = KnownFeatures(target.definitions, target.catalogue)
    lineage: dict[str, Any] = {"source": source.name, "sha256": sha256_of(source), "format": kind}
    original: Original | None = None
    if kind in ORIGINALS:
        original = ORIGINALS[kind](source)
        matched = _match_original(original, known, options)
        data = converted(original, target.output)
        lineage["library"] = original.library
    else:
        graph = read_graph(source)
        given = _with_trained_on(graph, options)
        matched = match(graph.inputs, known, given, missing=options.missing, layout=options.layout)
        output, column = chosen_output(graph, options.output, target.output)
        data = with_score(graph.data, output, column, target.output)
    signature = Signature(
        inputs=matched.inputs,
        outputs=(OutputSpec(name=target.output),),
        layout=options.layout if original is None else "flat",
        feature_hash=target.definitions.content_hash,
        vectors=matched.vectors or None,
    )
    inputs = assembled(signature, target)
    difference = None
    if original is not None:
        difference = largest_difference(
            original, data, target.output, inputs[INPUT], has_missing=options.missing == "nan"
        )
        lineage["largest_difference"] = difference

    def write(folder: Path) -> None:
        (folder / ONNX).write_bytes(data)
        runtime = OnnxRuntime(folder / ONNX, signature)
        outputs = runtime.run(inputs)
        _expect_scores(outputs[target.output], target, signature)
        write_golden(folder, inputs, outputs)

    artifact = write_artifact(
        root, name=target.name, signature=signature, weights=ONNX, write_files=write, lineage=lineage
    )
    check_golden(root, artifact, OnnxRuntime(root / ONNX, signature))
    return Imported(artifact, matched.report, difference)


def _with_trained_on(graph: Graph, options: ImportOptions) -> Mapping[str, Sequence[str]]:
    if options.trained_on is None:
        return options.inputs
    others = [tensor.name for tensor in graph.inputs if tensor.name not in options.inputs]
    if len(others) != 1:
        raise SignatureError(
            f"--trained-on: expected one input without --input, got {', '.join(others) or 'none'}; name the sources of "
            f"the other inputs with --input"
        )
    return {**options.inputs, others[0]: options.trained_on}


def _match_original(original: Original, known: KnownFeatures, options: ImportOptions) -> Matched:
    if options.output is not None or options.layout != "flat":
        raise SignatureError(
            f"--output, --layout: only for ONNX models, got a model of {original.library}; remove them"
        )
    if len(options.inputs) > 1:
        raise SignatureError(
            f"--input: the model has one input, {INPUT}, got {', '.join(options.inputs)}; name all features in one"
        )
    given = next(iter(options.inputs.values()), options.trained_on)
    features = features_of(original, known, given)
    tensor = GraphTensor(INPUT, "float32", (None, original.width))
    return match([tensor], known, {INPUT: features}, missing=options.missing)


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


def _expect_scores(scores: np.ndarray, target: Target, signature: Signature) -> None:
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
