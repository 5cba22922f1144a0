"""Compiles a module with torch.compile while it is loaded."""

from pathlib import Path

import torch
from torch import Tensor
from torch._dynamo.decorators import mark_unbacked

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.by_position import ByPosition, PositionalRuntime, example_inputs
from models.runtimes.checked_inputs import LEAST
from models.runtimes.compiled.quiet import without_own_warnings
from models.runtimes.torch import FAULTS, first_line, loaded_module
from models.signature import Signature


class CompiledRuntime(PositionalRuntime):
    """Runs the artifact's architecture, compiled in this process for inputs of any shape."""

    def __init__(self, path: Path, artifact: Artifact, *, threads: int, backend: str = "inductor") -> None:
        """Build the architecture, load the weights at ``path``, and compile.

        Args:
            path: the safetensors file.
            artifact: its manifest.
            threads: CPU threads per call, for the whole process, not only for this model.
            backend: the back end of torch.compile.

        Raises:
            RuntimeFailure: the weights cannot be read or do not fit the architecture, or it cannot be compiled.
        """
        module, device = loaded_module(path, artifact, threads=threads)
        compiled = torch.compile(  # type: ignore[call-overload]
            ByPosition(module, artifact.signature).eval(),
            fullgraph=True,
            dynamic=True,
            isolate_recompiles=True,  # other releases of the model do not count against PyTorch's limit of 8
            backend=backend,
        )
        try:
            with torch.inference_mode(), without_own_warnings():
                compiled(*_of_any_length(artifact.signature, device))
        except FAULTS as error:
            raise RuntimeFailure(
                f"{path}: {artifact.name} cannot be compiled by torch.compile: {type(error).__name__}: "
                f"{first_line(error)}; use runtime.mode: eager"
            ) from error
        super().__init__(compiled, artifact, device)


def _of_any_length(signature: Signature, device: str) -> tuple[Tensor, ...]:
    """Return example inputs whose leading axes are marked, so that one compilation serves every length.

    An axis that is only marked as dynamic is compiled again for the length 1.
    """
    tensors = example_inputs(signature, device)
    for spec, tensor in zip(signature.inputs, tensors, strict=True):
        for index, axis in enumerate(spec.axes(signature.layout)):
            mark_unbacked(tensor, index, shape_id=axis, min=LEAST.get(axis, 0))
    return tensors
