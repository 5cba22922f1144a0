"""Accelerate's dispatch: distributes a model over GPUs, main memory and disk within memory budgets.

The module is built without weights (``init_empty_weights``). ``infer_auto_device_map`` makes a device map from the
budgets: it fills the GPUs in order, then main memory, then disk.

Weights on disk stay in the artifact's safetensors file. A hook maps a layer's weights just before the layer runs, and
releases them afterwards. So no second copy is written, and the operating system can drop the pages at any time. Room
for the largest layer stays free in the main memory budget.

If there are GPUs, all parts run on them. Parts in main memory or on disk are copied to the first GPU while they run.
"""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import dispatch_model, infer_auto_device_map, init_empty_weights
from accelerate.utils import OffloadedWeightsLoader, get_max_memory, set_module_tensor_to_device
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.artifact import Artifact
from models.errors import ArtifactError, RuntimeFailure
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.one_device import OnOneDevice
from models.runtimes.reduced_precision import arithmetic_of, narrowed_dtypes
from models.runtimes.torch import ModuleRuntime, misfit, refuse_unbuildable
from models.signature import Inputs

_MIB = 1 << 20
Device = Literal["cpu", "disk"] | int
DeviceMap = dict[str, Device]
"""Device by dotted name of a module part. A GPU is given by its index."""


class AccelerateRuntime(ModuleRuntime):
    """Runs the artifact's architecture with its weights distributed over devices."""

    def __init__(self, path: Path, artifact: Artifact, config: AccelerateConfig) -> None:
        """Build the architecture without weights, choose devices, and load the weights that do not stay on disk.

        ``config.threads`` applies to the whole process.

        Raises:
            RuntimeFailure: the weights cannot be read or do not fit the architecture, or a device does not exist.
        """
        torch.set_num_threads(config.threads)
        refuse_unbuildable(artifact)
        try:
            with init_empty_weights():
                module = build_architecture(artifact.architecture).eval()
            dtypes = narrowed_dtypes(module, config.dtype)
            self.device_map = lay_out(module, config, dtypes)
            _load(module, path, self.device_map, dtypes)
        except (ArtifactError, SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise misfit(path, artifact, error) from error
        super().__init__(module, artifact)
        gpus = {device for device in self.device_map.values() if isinstance(device, int)}
        self._spans_gpus = len(gpus) > 1
        self._arithmetic = arithmetic_of(config.dtype, "cuda" if gpus else "cpu")

    def run(self, inputs: Inputs) -> Inputs:
        """Execute the module.

        Raises:
            RuntimeFailure: PyTorch failed on these inputs.
        """
        with ExitStack() as contexts:
            contexts.enter_context(self._arithmetic)
            if self._spans_gpus:
                contexts.enter_context(OnOneDevice())
            return super().run(inputs)


def lay_out(module: nn.Module, config: AccelerateConfig, dtypes: Mapping[str, torch.dtype]) -> DeviceMap:
    """Choose a device for each part of the module.

    Without budgets, all free memory is used, first on the GPUs, then on the host.

    Args:
        module: the module without weights.
        config: the budgets.
        dtypes: dtypes by tensor name.

    Raises:
        RuntimeFailure: a budget names a GPU that does not exist, or is too small to run the largest layer.
    """
    devices: list[Device] = [*range(torch.cuda.device_count()), "cpu"]  # filled in this order
    for device in config.max_memory_mib:
        if device not in devices:
            raise RuntimeFailure(
                f"runtime.max_memory_mib: must name only devices of this process, {devices}, got GPU {device}; "
                f"remove this GPU from the field, or give it to the unit"
            )
    free: dict[Device, float] = {device: mib * _MIB for device, mib in config.max_memory_mib.items()}
    free = free or get_max_memory()
    budgets = {device: int(free[device]) for device in devices if device in free}
    inferred: DeviceMap = infer_auto_device_map(
        module,
        max_memory=budgets,
        # On one device a layer may be cut anywhere. Then less memory stays free for weights fetched from disk.
        no_split_module_classes=_layer_classes(module) if len(budgets.keys() - {"cpu"}) > 1 else None,
        special_dtypes=dict(dtypes),
    )
    main = _main_device(inferred)
    modules = dict(module.named_modules())
    # Hooks fetch weights before a submodule is called. A parameter that the map lists by itself has no such call, so it
    # lies on the main device.
    device_map = {name: device if name in modules else main for name, device in inferred.items()}
    needed = _needed_bytes(module, device_map, main, dtypes)
    if needed > budgets.get(main, needed):
        raise RuntimeFailure(
            f"runtime.max_memory_mib: {main} needs {needed / _MIB:.3g} MiB for the largest layer and for the weights "
            f"that cannot stay on disk, got {budgets[main] / _MIB:.3g} MiB; raise this budget"
        )
    return device_map


def _main_device(device_map: DeviceMap) -> Device:
    """Return the device that runs the parts in main memory and on disk: the first GPU in use, else the CPU."""
    return next((device for device in device_map.values() if isinstance(device, int)), "cpu")


def _needed_bytes(
    module: nn.Module, device_map: DeviceMap, main: Device, dtypes: Mapping[str, torch.dtype]
) -> int:
    """Return the weight bytes on the main device: its own weights, and the largest layer fetched from elsewhere."""
    parameters = {name for name, _ in module.named_parameters()}
    resident, fetched = 0, {"": 0}
    for name, tensor in module.state_dict().items():
        size = tensor.numel() * dtypes[name].itemsize
        device = _device_of(name, device_map)
        if device == main or (device == "disk" and name not in parameters):
            resident += size
        elif device in {"cpu", "disk"}:
            layer = name.rpartition(".")[0]
            fetched[layer] = fetched.get(layer, 0) + size
    return resident + max(fetched.values())


def _layer_classes(module: nn.Module) -> list[str]:
    """Return the layers' class names: the classes with instances in a module list."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    return sorted({type(layer).__name__ for layers in lists for layer in layers})


def _load(module: Architecture, path: Path, device_map: DeviceMap, dtypes: Mapping[str, torch.dtype]) -> None:
    """Load the weights that do not stay on disk, and add hooks that read the other weights from the file.

    Raises:
        ValueError: the file and the module have different tensors.
    """
    parameters = {name for name, _ in module.named_parameters()}
    main = _main_device(device_map)
    with safe_open(path, framework="pt") as file:
        refuse_others(file, module.state_dict())
    index = {
        name: {"safetensors_file": str(path), "weight_name": name, "dtype": str(dtype).removeprefix("torch.")}
        for name, dtype in dtypes.items()
    }
    weights = OffloadedWeightsLoader(index=index)  # maps the file for one tensor at a time
    on_disk = {n: i for n, i in index.items() if n in parameters and _device_of(n, device_map) == "disk"}
    for name in index.keys() - on_disk.keys():
        device = _device_of(name, device_map)
        value = weights[name].clone()  # a copy in memory, not a view of the mapped file
        set_module_tensor_to_device(module, name, main if device == "disk" else device, value=value)
    if set(device_map.values()) != {"cpu"}:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=".*do not match any submodules"
            )  # parameters of the module
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


def _device_of(name: str, device_map: DeviceMap) -> Device:
    """Return a tensor's device: the device of the innermost mapped part that contains the tensor."""
    while name not in device_map:
        name = name.rpartition(".")[0]
        if not name:
            return device_map[""]
    return device_map[name]
