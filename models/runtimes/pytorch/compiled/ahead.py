"""Runs a package that was compiled ahead of time."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch._inductor import aoti_load_package

from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.pytorch.by_position import PositionalRuntime
from models.runtimes.pytorch.compiled.packages import CODE, CONSTANTS, find_package
from models.runtimes.pytorch.compiled.target import Target
from models.runtimes.pytorch.eager import device_name, first_line, misfit, this_device

_PREFIX = "module."
"""Part of each weight's name in the exported graph, whose root is a ``ByPosition``."""


class AotRuntime(PositionalRuntime):
    """Runs the artifact's package for this machine. Neither the architecture nor a compiler is needed."""

    def __init__(self, path: Path, artifact: Artifact, *, threads: int) -> None:
        """Load the package beside the artifact, and the weights at ``path``.

        The weights are views of the mapped file, so that all replicas on a machine share them.

        Args:
            path: the safetensors file.
            artifact: its manifest.
            threads: CPU threads per call, for the whole process, not only for this model.

        Raises:
            RuntimeFailure: there is no package for this machine, or it is damaged, or the weights do not fit it.
        """
        torch.set_num_threads(threads)
        here = Target.here(threads=threads, device=device_name())
        folder, device = find_package(path.parent, artifact, here), this_device()
        try:
            weights = {_PREFIX + name: tensor for name, tensor in load_file(path).items()}
        except (SafetensorError, OSError) as error:
            raise misfit(path, artifact, error) from error
        try:
            # One thread calls the model at a time, so its runner needs no locks.
            runner = aoti_load_package(str(folder / CODE), run_single_threaded=True).loader
            tensors = weights | load_file(folder / CONSTANTS)
            missing = [
                name.removeprefix(_PREFIX) for name in runner.get_constant_fqns() if name not in tensors
            ]
            if missing:
                raise misfit(path, artifact, ValueError(f"missing tensors {missing}"))
            self._constants = {name: tensors[name].to(device) for name in runner.get_constant_fqns()}
            # The runner keeps pointers to these tensors, so they live as long as the runtime.
            runner.load_constants(self._constants, False, True, True)
        except (RuntimeError, SafetensorError, OSError) as error:
            raise RuntimeFailure(
                f"{folder}: cannot be loaded by PyTorch: {first_line(error)}; remove this folder, and run rankway "
                f"models compile CONFIG on this machine"
            ) from error
        # Calling the package itself, instead of its runner, parses the names of its arguments at every call.
        super().__init__(lambda *tensors: runner.boxed_run(list(tensors))[0], artifact, device)
