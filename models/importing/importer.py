"""Import a model file: match its inputs, run golden requests on the graph, and write the artifact."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.artifact import sha256_of, write_artifact
from models.errors import SignatureError
from models.importing import lightgbm, scikit_learn, xgboost
from models.importing.formats import Format
from models.importing.known_features import KnownFeatures
from models.importing.matching import match
from models.importing.onnx_graph import ONNX, Graph, chosen_output, read_graph, with_score
from models.importing.original_import import import_original
from models.importing.target import Imported, ImportOptions, Target, assembled, expect_scores, signature_of
from models.runtimes.golden import check_golden, write_golden
from models.runtimes.onnx import OnnxRuntime

ORIGINALS = {"lightgbm": lightgbm.load, "xgboost": xgboost.load, "scikit-learn": scikit_learn.load}
"""The formats that are converted, by the functions that load them."""


def import_model(source: Path, kind: Format, root: Path, target: Target, options: ImportOptions) -> Imported:
    """Write an artifact for an ONNX model, or one that is converted to ONNX.

    Args:
        source: the model's file.
        kind: its format.
        root: the artifact's folder. An existing artifact is replaced, if everything succeeds.
        target: the pipeline.
        options: the user's decisions.

    Raises:
        ArtifactError: the file cannot be used, or the conversion changes the scores and no other runtime can load the
            model.
        SignatureError: an input has no feature, or the scores have another shape.
        RuntimeFailure: the model fails on the golden requests.
        GoldenMismatch: scores are NaN or infinite.
        MissingPackage: a package of the extra import is not installed.
    """
    lineage: dict[str, Any] = {"source": source.name, "sha256": sha256_of(source), "format": kind}
    if kind in ORIGINALS:
        return import_original(ORIGINALS[kind](source), root, target, options, lineage)
    known = KnownFeatures(target.definitions, target.catalogue)
    graph = read_graph(source)
    given = _with_trained_on(graph, options)
    matched = match(graph.inputs, known, given, missing=options.missing, layout=options.layout)
    output, column = chosen_output(graph, options.output, target.output)
    data = with_score(graph.data, output, column, target.output)
    signature = signature_of(matched, target, options.layout)
    inputs = assembled(signature, target)

    def write(folder: Path) -> None:
        (folder / ONNX).write_bytes(data)
        outputs = OnnxRuntime(folder / ONNX, signature).run(inputs)
        expect_scores(outputs[target.output], target, signature)
        write_golden(folder, inputs, outputs)

    artifact = write_artifact(
        root, name=target.name, signature=signature, weights=ONNX, write_files=write, lineage=lineage
    )
    check_golden(root, artifact, OnnxRuntime(root / ONNX, signature))
    return Imported(artifact, matched.report)


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
