"""Exports a module as a graph whose leading axes have any length, 0 and 1 included."""

from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental import _config as shapes

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.pytorch.by_position import ByPosition, example_inputs, least_lengths
from models.runtimes.pytorch.eager import first_line, loaded_module
from models.signature import Signature


def exported(path: Path, artifact: Artifact, *, threads: int) -> tuple[ExportedProgram, str]:
    """Return the graph of the artifact with the weights at ``path``, and its device.

    Args:
        path: the safetensors file.
        artifact: its manifest.
        threads: CPU threads per call, for the whole process.

    Raises:
        RuntimeFailure: the weights cannot be read or do not fit the architecture, or it cannot be exported.
    """
    module, device = loaded_module(path, artifact, threads=threads)
    try:
        return graph_of(module, artifact.signature, device), device
    except Exception as error:  # torch.export raises errors of many classes
        raise RuntimeFailure(
            f"{path}: {artifact.name} cannot be exported by torch.export: {type(error).__name__}: {first_line(error)}; "
            f"use runtime.mode: eager"
        ) from error


def any_length() -> AbstractContextManager[None]:
    """Let PyTorch export and compile for the lengths 0 and 1 too, which it excludes by default."""
    patched: AbstractContextManager[None] = shapes.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    return patched


def graph_of(module: Architecture, signature: Signature, device: str) -> ExportedProgram:
    """Return the graph of a module whose weights are on ``device``."""
    axes = tuple(
        {index: Dim.DYNAMIC(min=least) for index, least in enumerate(least_lengths(signature, spec))}
        for spec in signature.inputs
    )
    with torch.no_grad(), any_length():
        return export(
            ByPosition(module, signature).eval(),
            example_inputs(signature, device),
            dynamic_shapes=(axes,),
            strict=False,
        )
