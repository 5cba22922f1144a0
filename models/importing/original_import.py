"""Import a model of LightGBM, XGBoost or scikit-learn: convert it, try all its runtimes, and choose the fastest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.artifact import write_artifact
from models.errors import SignatureError
from models.importing.converted import INPUT, Original, features_of
from models.importing.known_features import KnownFeatures
from models.importing.matching import Matched, match
from models.importing.onnx_graph import GraphTensor
from models.importing.target import Imported, ImportOptions, Target, assembled, expect_scores, signature_of
from models.importing.trial import files_of, tried
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden, write_golden
from models.runtimes.kinds.registry import runtime_config


def import_original(
    original: Original, root: Path, target: Target, options: ImportOptions, lineage: Mapping[str, Any]
) -> Imported:
    """Write an artifact with the graph of a model, and with the file of its own library if that can be the runtime.

    Args:
        original: the model.
        root: the artifact's folder.
        target: the pipeline.
        options: the user's decisions.
        lineage: the origin of the model.

    Raises:
        ArtifactError, SignatureError, RuntimeFailure, GoldenMismatch, MissingPackage: as for ``import_model``.
    """
    known = KnownFeatures(target.definitions, target.catalogue)
    matched = _match_original(original, known, options)
    signature = signature_of(matched, target, "flat")
    inputs = assembled(signature, target)
    made = files_of(original, target.output, inputs[INPUT], has_missing=options.missing == "nan")
    trial = tried(made, signature, inputs, target.candidates)
    expect_scores(trial.outputs[target.output], target, signature)
    lineage = {**lineage, "library": original.library}
    if made.difference is not None:
        lineage["largest_difference"] = made.difference
    if trial.comparison is not None:
        lineage["median_ms"] = trial.comparison.medians()

    def write(folder: Path) -> None:
        made.write(folder)
        write_golden(folder, inputs, trial.outputs)

    artifact = write_artifact(
        root,
        name=target.name,
        signature=signature,
        weights=next(iter(made.files)),
        write_files=write,
        runtime=trial.fastest,
        lineage=lineage,
    )
    for kind in made.runtimes:
        check_golden(root, artifact, load_runtime(root, artifact, runtime_config(kind=kind)))
    return Imported(
        artifact, (*matched.report, *original.notes), made.difference, made.problem, trial.comparison
    )


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
