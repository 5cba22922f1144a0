"""Golden requests: a model's inputs and what it gave for them when it was exported, kept in its artifact.

Whoever loads the artifact runs them first: a damaged export, another runtime's arithmetic or weights that are not
numbers show before the first real request does. The file's sha256 stands in ``artifact.yaml`` like any other's.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from models.artifact import GOLDEN, Artifact
from models.errors import GoldenMismatch
from models.ragged import RaggedBatch, offsets_of
from models.runtimes.base import Runtime
from models.signature import Inputs

RELATIVE_TOLERANCE = 1e-2
ABSOLUTE_TOLERANCE = 1e-3
"""Wide beside the differences of runtimes (1e-4), narrow beside those of models."""
NARROW_TOLERANCE = 0.05
"""Of the largest score, where a runtime computes in fewer bits: the walks ranker in bfloat16 is 0.5% away."""
_REQUESTS, _CANDIDATES = 4, 64
_INPUT, _OUTPUT = "input.", "output."


def golden_batch(batch: RaggedBatch) -> RaggedBatch:
    """Give a few of a data set's requests, evenly spaced, with a few candidates of each."""
    count = min(_REQUESTS, len(batch))
    some = batch.take(np.linspace(0, len(batch) - 1, count).astype(np.int64))
    index = np.arange(some.candidate_count) - some.offsets[some.request_of()]
    kept = index < _CANDIDATES
    return some.keep(np.flatnonzero(kept), offsets_of(kept)[some.offsets])


def write_golden(root: Path, inputs: Inputs, outputs: Inputs) -> None:
    """Write beside the weights what the model takes and gives."""
    named = {_INPUT + name: values for name, values in inputs.items()}
    named |= {_OUTPUT + name: values for name, values in outputs.items()}
    save_file({name: np.ascontiguousarray(values) for name, values in named.items()}, root / GOLDEN)


def check_golden(root: Path, artifact: Artifact, runtime: Runtime, *, narrow: bool = False) -> bool:
    """Run the artifact's golden requests; False where it has none, as a model brought along.

    narrow: the runtime computes in fewer bits than the model was exported with.

    Raises:
        GoldenMismatch: the model gives other numbers than at its export, or none.
        RuntimeFailure: it cannot be run on them.
    """
    if GOLDEN not in artifact.files:
        return False
    kept = load_file(root / GOLDEN)
    outputs = runtime.run({n.removeprefix(_INPUT): v for n, v in kept.items() if n.startswith(_INPUT)})
    for name, expected in kept.items():
        if name.startswith(_OUTPUT):
            fault = _difference(expected, outputs[name.removeprefix(_OUTPUT)], narrow)
            if fault is not None:
                raise GoldenMismatch(
                    f"artifact {artifact.name} {artifact.version} at {root}: on its golden requests, {fault}; export "
                    f"or train it again"
                )
    return True


def _difference(expected: np.ndarray, scores: np.ndarray, narrow: bool) -> str | None:
    if scores.shape != expected.shape:
        return f"expected scores of shape {expected.shape}, got {scores.shape}"
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        return f"{bad} of {scores.size} scores are NaN or infinite"
    allowed = (
        ABSOLUTE_TOLERANCE if not narrow else NARROW_TOLERANCE * float(np.abs(expected).max(initial=0.0))
    )
    if not np.allclose(scores, expected, rtol=RELATIVE_TOLERANCE, atol=allowed):
        return f"scores differ by up to {np.abs(scores - expected).max():.3g} from those at export"
    return None
