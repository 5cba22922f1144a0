"""Files of an original model in its artifact, and a trial of all runtimes that can load them."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from models.artifact import Artifact, MeasuredRuntime
from models.errors import ArtifactError
from models.importing.comparison import Comparison, compared
from models.importing.converted import INPUT, Original, Rows, converted, largest_difference
from models.importing.onnx_graph import ONNX
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from models.signature import Inputs, Signature


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model. There is at least one.

    Attributes:
        files: contents by name.
        runtimes: the kinds of runtimes that can load them.
        difference: the largest difference between the scores of the library and of the graph. None: there is no graph.
        problem: the reason for which there is no graph.
    """

    files: dict[str, bytes]
    runtimes: tuple[MeasuredRuntime, ...]
    difference: float | None
    problem: str | None

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


@dataclass(frozen=True)
class Trial:
    """The golden requests' scores, and the fastest runtime. None: only ONNX Runtime can load the model."""

    outputs: Inputs
    fastest: MeasuredRuntime | None
    comparison: Comparison | None


def files_of(original: Original, output: str, rows: Rows, *, has_missing: bool) -> ModelFiles:
    """Return the graph of a model, and the file of its own library if that can be the runtime.

    Args:
        original: the model.
        output: the output's name.
        rows: vectors of real requests, (N, width).
        has_missing: whether vectors may contain NaN.

    Raises:
        ArtifactError: the model cannot be converted, or the graph has other scores, and the library is no runtime.
    """
    native = original.native
    graph: bytes | None = None
    difference, problem = None, None
    try:
        graph = converted(original, output)
        difference = largest_difference(original, graph, output, rows, has_missing=has_missing)
    except ArtifactError as error:
        if native is None:
            raise
        graph, problem = None, str(error)
    files: dict[str, bytes] = {} if graph is None else {ONNX: graph}
    runtimes: tuple[MeasuredRuntime, ...] = () if graph is None else ("onnx",)
    if native is not None:
        files[native.file] = native.data
        runtimes = (*runtimes, native.kind)
    return ModelFiles(files, runtimes, difference, problem)


def tried(made: ModelFiles, signature: Signature, inputs: Inputs, candidates: int) -> Trial:
    """Load the model in all its runtimes, score the golden requests, and compare the speeds.

    Args:
        made: the model.
        signature: the artifact's inputs and outputs.
        inputs: the golden requests, with one input.
        candidates: candidates of one request.

    Raises:
        RuntimeFailure: a runtime cannot load or execute the model.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        made.write(folder)
        draft = Artifact(
            name="draft",
            version="draft",
            signature=signature,
            weights=next(iter(made.files)),
            files=dict.fromkeys(made.files, ""),
        )
        loaded = {kind: load_runtime(folder, draft, runtime_config(kind=kind)) for kind in made.runtimes}
    first = made.runtimes[0]
    outputs = loaded[first].run(inputs)
    if len(loaded) == 1:
        return Trial(outputs, None if first == "onnx" else first, None)
    comparison = compared(loaded, INPUT, inputs[INPUT], candidates)
    return Trial(outputs, comparison.fastest, comparison)
