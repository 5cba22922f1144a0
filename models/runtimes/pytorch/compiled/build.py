"""Compiles an artifact ahead of time with AOTInductor, for this machine."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from safetensors.torch import save_file
from torch import Tensor
from torch._inductor import aoti_compile_and_package
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler

from models.artifact import Artifact, sha256_of
from models.atomic_directory import written_whole
from models.errors import RuntimeFailure
from models.runtimes.base import Compiled
from models.runtimes.pytorch.compiled import packages
from models.runtimes.pytorch.compiled.exported import any_length, exported
from models.runtimes.pytorch.compiled.packages import Package
from models.runtimes.pytorch.compiled.target import Target
from models.runtimes.pytorch.eager import device_name, first_line
from models.runtimes.pytorch.quiet import without_own_warnings

_WAIT_LIMIT_S = 1800.0
"""How long a second process waits while another one compiles the same package."""
_OPTIONS = {
    "aot_inductor.package_constants_in_so": False,  # replicas share the weights of the artifact, which they map
    "aot_inductor.check_lowerbound": False,  # axes may have the length 0 or 1
    "compile_threads": 1,
}
_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def build_package(path: Path, artifact: Artifact, *, threads: int) -> Compiled:
    """Compile the artifact for this machine, unless its package exists and has the same key.

    The package appears completely or not at all. The artifact is not changed.

    Args:
        path: the safetensors file.
        artifact: its manifest.
        threads: CPU threads per call.

    Raises:
        RuntimeFailure: there is no C++ compiler, or the model cannot be exported or compiled.
        OSError: the folder beside the artifact cannot be written.
    """
    root = path.parent
    target, compiler = Target.here(threads=threads, device=device_name()), _compiler()
    folder = packages.folder_of(root, artifact, target)
    if packages.is_current(root, artifact, target, compiler):
        return Compiled(folder, is_new=False)
    graph, _ = exported(path, artifact, threads=threads)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(folder, wait_limit_s=_WAIT_LIMIT_S) as staging:
        code = staging / packages.CODE
        with any_length(), _temporary_cache(), without_own_warnings():
            try:
                aoti_compile_and_package(graph, package_path=str(code), inductor_configs=_OPTIONS)
            except Exception as error:  # the compiler raises errors of many classes
                raise RuntimeFailure(
                    f"{root}: {artifact.name} cannot be compiled: {type(error).__name__}: {first_line(error)}; use "
                    f"runtime.mode: eager"
                ) from error
        constants = {
            name: t.contiguous().cpu() for name, t in graph.constants.items() if isinstance(t, Tensor)
        }
        save_file(constants, staging / packages.CONSTANTS)
        package = Package(
            artifact=artifact.version,
            target=target,
            compiler=compiler,
            files={name: sha256_of(staging / name) for name in (packages.CODE, packages.CONSTANTS)},
        )
        manifest = yaml.safe_dump(package.model_dump(mode="json"), sort_keys=False)
        (staging / packages.MANIFEST).write_text(manifest)
    packages.remove_old_versions(root, artifact)
    return Compiled(folder, is_new=True)


def _compiler() -> str:
    """Return the first line of the C++ compiler's version."""
    try:
        compiler = get_cpp_compiler()
        result = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    except (InvalidCxxCompiler, OSError, subprocess.CalledProcessError) as error:
        raise RuntimeFailure(
            "a C++ compiler is needed to compile a model, and none works; install g++, or name one in the variable CXX"
        ) from error
    return result.stdout.partition("\n")[0].strip()


@contextmanager
def _temporary_cache() -> Iterator[None]:
    """Let Inductor keep its intermediate files, some 100 MiB, in a folder that is removed at the end."""
    before = os.environ.get(_CACHE)
    with tempfile.TemporaryDirectory(prefix="rankway-compile-", ignore_cleanup_errors=True) as folder:
        os.environ[_CACHE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[_CACHE]
            else:
                os.environ[_CACHE] = before
