"""A module whose weights are views of the mapped safetensors file, so that no rank copies weights before the split."""

import ctypes
from pathlib import Path

from safetensors import SafetensorError

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError, RuntimeFailure
from models.runtimes.pytorch.built_module import built_module
from models.runtimes.pytorch.eager import misfit

_MAPS = Path("/proc/self/maps")
_MADV_DONTNEED = 4


def mapped_module(path: Path, artifact: Artifact) -> Architecture:
    """Build the artifact's architecture with weights that are views of the file at ``path``.

    Raises:
        RuntimeFailure: a package is missing, or the weights cannot be read or do not fit the architecture.
    """
    try:
        from accelerate import init_empty_weights
        from safetensors.torch import load_file
    except ImportError as error:
        raise RuntimeFailure(
            f"the package {error.name} is not installed; pip install 'rankway[sharding]'"
        ) from error
    try:
        with init_empty_weights(include_buffers=False):  # computed buffers are not in the file
            module = built_module(artifact)
        module.load_state_dict(load_file(path), assign=True)
    except (ArtifactError, SafetensorError, OSError, RuntimeError) as error:
        raise misfit(path, artifact, error) from error
    return module.eval().requires_grad_(False)


def release_pages(path: Path) -> None:
    """Release a mapped file's pages that were read for the split. Pages that are used again are read again.

    This works on Linux only. Systems without ``/proc/self/maps`` keep the pages.
    """
    if not _MAPS.exists():
        return
    library = ctypes.CDLL(None)
    for line in _MAPS.read_text().splitlines():
        if line.endswith(f" {path.resolve()}"):
            start, end = (int(number, 16) for number in line.split()[0].split("-"))
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
