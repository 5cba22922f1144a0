"""Accelerate's dispatch: distributes a model over GPUs, main memory and disk within memory budgets.

The module is built without weights (``init_empty_weights``). ``device_map`` chooses the device of each part.

Weights on disk stay in the artifact's safetensors file, without a second copy. A hook reads a layer's weights just
before the layer runs.

If there are GPUs, all parts run on them. Parts in main memory or on disk are copied to the first GPU while they run.
"""

import threading
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from accelerate import dispatch_model, init_empty_weights
from accelerate.utils import OffloadedWeightsLoader, set_module_tensor_to_device
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError
from models.runtimes.dispatch.device_map import DeviceMap, device_of, lay_out, layers_on_disk, main_device
from models.runtimes.dispatch.layers_on_disk import LayersOnDisk
from models.runtimes.dispatch.one_device import OnOneDevice
from models.runtimes.dispatch.stored_tensors import StoredTensors
from models.runtimes.dispatch.weight_memory import WeightMemory, aligned_bytes
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.pytorch.built_module import built_module
from models.runtimes.pytorch.eager import ModuleRuntime, misfit
from models.runtimes.pytorch.reduced_precision import arithmetic_of, narrowed_dtypes
from models.signature import Inputs


class AccelerateRuntime(ModuleRuntime):
    """Runs the artifact's architecture with its weights distributed over devices."""

    def __init__(self, path: Path, artifact: Artifact, config: AccelerateConfig) -> None:
        """Build the architecture without weights, choose devices, and load the weights that do not stay on disk.

        ``config.threads`` applies to the whole process.

        Raises:
            RuntimeFailure: the weights cannot be read or do not fit the architecture, or a device does not exist.
        """
        torch.set_num_threads(config.threads)
        try:
            with init_empty_weights():
                module = built_module(artifact).eval()
            dtypes = narrowed_dtypes(module, config.dtype)
            self.device_map = lay_out(module, config, dtypes)
            _load(module, path, self.device_map, dtypes)
        except (ArtifactError, SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise misfit(path, artifact, error) from error
        super().__init__(module, artifact)
        gpus = {device for device in self.device_map.values() if isinstance(device, int)}
        self._spans_gpus = len(gpus) > 1
        self._one_batch = threading.Lock()  # the layers on disk share memory
        self._arithmetic = arithmetic_of(config.dtype, "cuda" if gpus else "cpu")

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the module. Calls from several threads run one after another.

        Raises:
            RuntimeFailure: PyTorch failed on these inputs, or the weights on disk cannot be read.
        """
        with ExitStack() as contexts:
            contexts.enter_context(self._one_batch)
            contexts.enter_context(self._arithmetic)
            if self._spans_gpus:
                contexts.enter_context(OnOneDevice())
            return super().run(inputs)


def _load(module: Architecture, path: Path, device_map: DeviceMap, dtypes: Mapping[str, torch.dtype]) -> None:
    """Load the weights that do not stay on disk, and add hooks that read the other weights from the file.

    Raises:
        ValueError: the file and the module have different tensors.
    """
    with safe_open(path, framework="pt") as file:
        refuse_others(file, module.state_dict())
    if main_device(device_map) == "cpu":
        _load_on_host(module, StoredTensors(path), device_map, dtypes)
    else:
        _load_on_gpus(module, path, device_map, dtypes)


def _load_on_host(
    module: Architecture, file: StoredTensors, device_map: DeviceMap, dtypes: Mapping[str, torch.dtype]
) -> None:
    """Load for a process without GPUs. The layers on disk have one piece of memory, and the other weights another."""
    layers = layers_on_disk(module, device_map)
    on_disk = {name for names in layers.values() for name in names}
    shapes = {name: tuple(each.shape) for name, each in module.state_dict().items() if name not in on_disk}
    memory = WeightMemory(aligned_bytes((shape, dtypes[name]) for name, shape in shapes.items()))
    kept = {name: memory.take(shape, dtypes[name]) for name, shape in shapes.items()}
    for name, tensor in kept.items():
        file.read(name, tensor)
    module.load_state_dict(kept, strict=False, assign=True)
    LayersOnDisk(module, layers, file, dtypes)


def _load_on_gpus(
    module: Architecture, path: Path, device_map: DeviceMap, dtypes: Mapping[str, torch.dtype]
) -> None:
    """Load for a process with GPUs, with Accelerate's hooks, which map a layer's weights and copy them to its GPU."""
    parameters = {name for name, _ in module.named_parameters()}
    main = main_device(device_map)
    index = {
        name: {"safetensors_file": str(path), "weight_name": name, "dtype": str(dtype).removeprefix("torch.")}
        for name, dtype in dtypes.items()
    }
    weights = OffloadedWeightsLoader(index=index)  # maps the file for one tensor at a time
    on_disk = {n: i for n, i in index.items() if n in parameters and device_of(n, device_map) == "disk"}
    for name in index.keys() - on_disk.keys():
        device = device_of(name, device_map)
        value = weights[name].clone()  # a copy in memory, not a view of the mapped file
        set_module_tensor_to_device(module, name, main if device == "disk" else device, value=value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*do not match any submodules")  # parameters of the module
        dispatch_model(
            module,
            device_map,
            main_device=main,
            offload_index=on_disk or None,
            force_hooks=True,  # even with a single GPU, a hook must move the inputs to it
        )


def refuse_others(file: Any, expected: Mapping[str, Tensor]) -> None:
    """Check that a safetensors file has a module's tensors, by name and shape.

    Args:
        file: the open safetensors file.
        expected: the module's state.

    Raises:
        ValueError: a name or shape differs.
    """
    names = set(file.keys())
    if names != set(expected):
        raise ValueError(
            f"missing tensors {sorted(set(expected) - names)}, unexpected tensors {sorted(names - set(expected))}"
        )
    for name, tensor in expected.items():
        shape = tuple(file.get_slice(name).get_shape())
        if shape != tuple(tensor.shape):
            raise ValueError(f"{name}: expected shape {tuple(tensor.shape)}, got {shape}")
