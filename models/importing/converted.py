"""A model of another library, converted to ONNX, and the proof that both give the same scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.artifact import MeasuredRuntime
from models.errors import ArtifactError, SignatureError
from models.importing.known_features import KnownFeatures
from models.importing.trees import INPUT, OPSET
from models.runtimes.onnx import OnnxSession

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["INPUT", "OPSET", "Original"]
RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-5
"""Largest allowed difference: 1e-5 plus 1e-4 of the largest score. ONNX Runtime adds the leaves in float32."""
_ROWS, _MISSING_SHARE, _SHOWN = 2048, 0.1, 8

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Native:
    """The file of a library that is also a runtime.

    Attributes:
        kind: the kind of the runtime.
        file: the name of the file in the artifact.
    """

    kind: MeasuredRuntime
    file: str
    data: bytes


@dataclass(frozen=True)
class Original:
    """A model as its own library loaded it.

    Attributes:
        library: name and version, for the lineage.
        width: numbers in a row.
        names: the names of the columns in training. None: they were not named.
        predict: the library's scores (N,) of rows (N, width).
        convert: makes the graph, whose input is ``INPUT`` and whose output is the given name. It raises ArtifactError
            if ONNX cannot express the model.
        edges: values by column at which the model changes, such as the thresholds of trees.
        notes: lines for the user about the model.
        native: the file with which the library itself can be the runtime. None: there is no such runtime.
    """

    library: str
    width: int
    names: tuple[str, ...] | None
    predict: Callable[[Rows], NDArray[np.float64]]
    convert: Callable[[str], "ModelProto"]
    edges: tuple[NDArray[np.float32], ...] = ()
    notes: tuple[str, ...] = ()
    native: Native | None = None


def converted(original: Original, output: str) -> bytes:
    """Return the model's graph, with a fixed name in place of a random one, so that its bytes are always the same."""
    graph = original.convert(output)
    graph.graph.name = INPUT
    return bytes(graph.SerializeToString(deterministic=True))


def features_of(original: Original, known: KnownFeatures, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the features of an original model's columns.

    Args:
        original: the model.
        known: the pipeline's features.
        given: features from ``--input``. None: the names that the model was trained with.

    Raises:
        SignatureError: a column has no feature, or there are more or fewer features than columns.
    """
    field = f"input {INPUT}"
    if given is None:
        if original.names is None or _are_generic(original.names):
            raise SignatureError(
                f"{field}: the model does not name its {original.width} columns; name its export with --trained-on "
                f"FOLDER, or its features in order with --input {INPUT}=FEATURE,... from {', '.join(known.fixed())}"
            )
        given = known.compact([known.resolve(name, field=field) for name in original.names])
    names = known.vector_names(tuple(given), field=field)
    if len(names) != original.width:
        raise SignatureError(
            f"{field}: expected {original.width} numbers, got {len(names)}: {', '.join(names)}; name the features that "
            f"the model was trained with"
        )
    return tuple(given)


def _are_generic(names: Sequence[str]) -> bool:
    """Return whether a library made the names up, such as Column_0, f0 or x0."""
    return any(
        all(name == f"{prefix}{i}" for i, name in enumerate(names)) for prefix in ("Column_", "f", "x", "")
    )


def largest_difference(
    original: Original, graph: bytes, output: str, rows: Rows, *, has_missing: bool
) -> float:
    """Score rows with the library and with the graph, and return the largest difference of two scores.

    The rows are the given ones and 2,048 generated rows at the model's edges, where two programs would differ first.

    Args:
        original: the model.
        graph: the converted graph.
        output: the graph's output.
        rows: vectors of real requests, (N, width).
        has_missing: whether vectors may contain NaN.

    Raises:
        ArtifactError: the scores differ by more than the tolerance.
    """
    rows = np.concatenate([rows, _generated(original, rows, has_missing=has_missing)])
    expected = np.asarray(original.predict(rows), dtype=np.float64).reshape(-1)
    session = OnnxSession(graph, original.library)
    scores = session.run([output], {INPUT: rows})[output].astype(np.float64).reshape(-1)
    if scores.shape != expected.shape:
        raise ArtifactError(
            f"{original.library}: expected {len(expected)} scores from the converted graph, got {len(scores)}; "
            f"import a model with one score per row"
        )
    difference = np.abs(scores - expected)
    allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * float(np.abs(expected).max(initial=0.0))
    bad = ~(difference <= allowed)
    if bad.any():
        row = int(np.argmax(bad))
        missing = np.isnan(rows[row]).any()
        remedy = (
            "if the model was trained without missing values, use --missing with a number; else "
            if missing
            else ""
        )
        raise ArtifactError(
            f"{original.library}: the converted graph differs from the model in {int(bad.sum())} of {len(bad)} rows, "
            f"by more than {allowed:.2g}. For {_shown(rows[row])} the model gives {expected[row]:.6g}, the graph "
            f"{scores[row]:.6g}; {remedy}export the model to ONNX yourself and import the graph"
        )
    return float(difference.max(initial=0.0))


def _shown(row: Rows) -> str:
    numbers = ", ".join(f"{number:.6g}" for number in row[:_SHOWN])
    return f"[{numbers}{', ...' if len(row) > _SHOWN else ''}]"


def _generated(original: Original, rows: Rows, *, has_missing: bool) -> Rows:
    random = np.random.default_rng(0)
    result = np.empty((_ROWS, original.width), dtype=np.float32)
    for column in range(original.width):
        values = rows[:, column][np.isfinite(rows[:, column])]
        edges = original.edges[column] if original.edges else np.zeros(0, dtype=np.float32)
        with np.errstate(over="ignore"):  # above float32's largest number, the next one is infinite
            around = np.concatenate([edges, np.nextafter(edges, np.float32(np.inf))])
        near = np.concatenate([values, around, np.zeros(1, dtype=np.float32)])
        result[:, column] = random.choice(near, _ROWS)
    if has_missing:
        result[random.random(result.shape) < _MISSING_SHARE] = np.nan
    return result
