"""Compiles an artifact while a replica starts (``mode: compile``)."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.pytorch.compiled.build import build_package
from models.runtimes.pytorch.compiled.packages import find_package
from models.runtimes.pytorch.compiled.target import Target
from models.runtimes.pytorch.eager import device_name


def ensure_package(path: Path, artifact: Artifact, *, threads: int) -> None:
    """Compile the artifact for this machine, unless it has a package for it. Replicas that start together compile once.

    The compiler runs in a process of its own, because it leaves some hundred MiB of memory behind.

    Args:
        path: the safetensors file.
        artifact: its manifest.
        threads: CPU threads per call.

    Raises:
        RuntimeFailure: there is no C++ compiler, the model cannot be exported or compiled, or the folder beside the
            artifact cannot be written.
    """
    try:
        find_package(path.parent, artifact, Target.here(threads=threads, device=device_name()))
        return
    except RuntimeFailure:
        pass  # there is none, or it is damaged
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(build_package, path, artifact, threads=threads).result()
    except (OSError, BrokenProcessPool) as error:
        raise RuntimeFailure(
            f"{path.parent}: {artifact.name} cannot be compiled while the replica starts: {error}; run rankway models "
            f"compile CONFIG beforehand, or use runtime.mode: eager"
        ) from error
