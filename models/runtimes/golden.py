"""Golden requests: model inputs with the scores at export, stored in the artifact.

A process that loads the artifact runs them first. So a damaged export, a runtime with different arithmetic or NaN
weights are found before the first real request. ``artifact.yaml`` lists the file with its sha256.

The tolerance depends on the stored number types. Weights in int8 are multiplied by activations in 8 bits. A difference
of 1e-7 before the rounding then becomes a difference of 1/255 of the activations' range, so scores differ between CPUs
with and without VNNI, and between runtimes. Such an artifact gets ``NARROW_TOLERANCE``. A CPU whose sums overflow
exceeds it, and so refuses weights that were quantised for another CPU.
"""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.artifact import GOLDEN, Artifact
from models.errors import ArtifactError, GoldenMismatch
from models.ragged import RaggedBatch, offsets_of
from models.runtimes.base import Runtime
from models.runtimes.graph_types import quantised_types
from models.signature import Inputs

RELATIVE_TOLERANCE = 1e-2
ABSOLUTE_TOLERANCE = 1e-3
"""Large compared with differences between runtimes (1e-4), small compared with differences between models."""
NARROW_TOLERANCE = 0.05
"""Share of the largest score, for a runtime with fewer bits. In bfloat16 the walks ranker's scores differ by 0.5%."""
_REQUESTS, _CANDIDATES = 4, 64
_INPUT, _OUTPUT = "input.", "output."


def golden_batch(batch: RaggedBatch) -> RaggedBatch:
    """Return at most 4 evenly spaced requests, each with at most its first 64 candidates."""
    count = min(_REQUESTS, len(batch))
    sample = batch.take(np.linspace(0, len(batch) - 1, count).astype(np.int64))
    index = np.arange(sample.candidate_count) - sample.offsets[sample.request_of()]
    selected = index < _CANDIDATES
    return sample.keep(np.flatnonzero(selected), offsets_of(selected)[sample.offsets])


def write_golden(root: Path, inputs: Inputs, outputs: Inputs) -> None:
    """Write the golden requests' inputs and outputs into the artifact's folder."""
    named = {_INPUT + name: values for name, values in inputs.items()}
    named |= {_OUTPUT + name: values for name, values in outputs.items()}
    save_file({name: np.ascontiguousarray(values) for name, values in named.items()}, root / GOLDEN)


def check_golden(root: Path, artifact: Artifact, runtime: Runtime, *, narrow: bool = False) -> bool:
    """Run an artifact's golden requests and compare the scores.

    Args:
        root: the artifact's folder.
        artifact: its manifest.
        runtime: the loaded model.
        narrow: whether the runtime computes in fewer bits than the model was exported with. A quantised artifact is
            always compared with this tolerance.

    Returns:
        False if the artifact has no golden requests, for example because it was imported.

    Raises:
        ArtifactError: the golden requests cannot be read.
        GoldenMismatch: the scores differ from the stored scores, or are not finite.
        RuntimeFailure: the model cannot be executed on the golden requests.
    """
    if GOLDEN not in artifact.files:
        return False
    fault = golden_fault(root, runtime, narrow=narrow or is_quantised(root, artifact))
    if fault is not None:
        raise GoldenMismatch(
            f"artifact {artifact.name} {artifact.version} at {root}: failed on its golden requests: {fault}; "
            f"export or train the model again"
        )
    return True


def is_quantised(root: Path, artifact: Artifact) -> bool:
    """Return whether an artifact's graph stores weights as integers.

    Raises:
        ArtifactError: the graph cannot be read.
    """
    return artifact.weights.endswith(".onnx") and bool(quantised_types(root / artifact.weights))


def golden_fault(root: Path, runtime: Runtime, *, narrow: bool = False) -> str | None:
    """Return a phrase for the first output in which a runtime differs from the scores at export, if any.

    Raises:
        ArtifactError: the golden requests cannot be read.
        RuntimeFailure: the model cannot be executed on the golden requests.
    """
    try:
        stored = load_file(root / GOLDEN)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            f"{root / GOLDEN} cannot be read ({error}); copy or train the model again"
        ) from error
    outputs = runtime.run({n.removeprefix(_INPUT): v for n, v in stored.items() if n.startswith(_INPUT)})
    for name, expected in stored.items():
        if name.startswith(_OUTPUT):
            fault = _difference(expected, outputs[name.removeprefix(_OUTPUT)], narrow)
            if fault is not None:
                return fault
    return None


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
        return f"scores differ by up to {np.abs(scores - expected).max():.3g} from the scores at export"
    return None
