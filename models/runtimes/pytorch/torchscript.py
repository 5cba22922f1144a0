"""TorchScript: a module that is traced on small inputs and frozen.

PyTorch deprecates TorchScript, and warns about it whenever it is used. ``torch.export`` replaces it, which
``mode: aot`` of the runtime ``torch`` uses.
"""

import warnings
from pathlib import Path

import torch
from torch.jit._trace import TracerWarning

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.pytorch.by_position import ByPosition, PositionalRuntime, example_inputs
from models.runtimes.pytorch.eager import FAULTS, loaded_module
from models.runtimes.pytorch.quiet import without_torchscript_warnings


class TorchScriptRuntime(PositionalRuntime):
    """Runs the artifact's architecture, traced and frozen."""

    def __init__(self, path: Path, artifact: Artifact, *, threads: int) -> None:
        """Build the architecture, load the weights at ``path``, trace and freeze.

        Args:
            path: the safetensors file.
            artifact: its manifest.
            threads: CPU threads per call, for the whole process, not only for this model.

        Raises:
            RuntimeFailure: the weights cannot be read or do not fit the architecture, or it cannot be traced.
        """
        module, device = loaded_module(path, artifact, threads=threads)
        signature = artifact.signature
        try:
            with torch.no_grad(), without_torchscript_warnings():
                warnings.simplefilter("ignore", TracerWarning)  # shape checks in Hugging Face models
                traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                    ByPosition(module, signature).eval(),
                    example_inputs(signature, device),
                    check_trace=False,  # golden requests check the scores, and on more shapes
                )
                frozen = torch.jit.freeze(traced)
        except FAULTS as error:
            raise RuntimeFailure(
                f"{path}: {artifact.name} cannot be traced for TorchScript: {error}; use runtime.kind: torch"
            ) from error
        super().__init__(frozen, artifact, device)
