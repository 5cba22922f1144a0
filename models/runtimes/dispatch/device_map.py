"""Chooses a device for each part of a model within memory budgets.

``infer_auto_device_map`` fills the GPUs in order, then main memory, then disk. Room for the largest layer stays free in
the budget of the device that runs the parts on disk.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from accelerate import infer_auto_device_map
from accelerate.utils import get_max_memory
from torch import nn

from models.errors import RuntimeFailure
from models.runtimes.kinds.accelerate import AccelerateConfig

_MIB = 1 << 20
Device = Literal["cpu", "disk"] | int
DeviceMap = dict[str, Device]
"""Device by dotted name of a module part. A GPU is given by its index."""


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
    main = main_device(inferred)
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


def main_device(device_map: DeviceMap) -> Device:
    """Return the device that runs the parts in main memory and on disk: the first GPU in use, else the CPU."""
    return next((device for device in device_map.values() if isinstance(device, int)), "cpu")


def layers_on_disk(module: nn.Module, device_map: DeviceMap) -> dict[str, list[str]]:
    """Return the names of the parameters that stay on disk, by the part of the module that has them.

    Only parts without children are among them, because no other part runs during their calls. A parameter beside
    children would have to stay in memory as long as the children run, so it lies on the main device.
    """
    parts = {
        path: [f"{path}.{name}" for name, _ in part.named_parameters(recurse=False)]
        for path, part in module.named_modules()
        if path and not list(part.children())
    }
    return {path: names for path, names in parts.items() if names and device_of(path, device_map) == "disk"}


def _needed_bytes(
    module: nn.Module, device_map: DeviceMap, main: Device, dtypes: Mapping[str, torch.dtype]
) -> int:
    """Return the weight bytes on the main device: its own weights, and the largest layer fetched from elsewhere."""
    on_disk = {name for names in layers_on_disk(module, device_map).values() for name in names}
    resident, fetched = 0, {"": 0}
    for name, tensor in module.state_dict().items():
        size = tensor.numel() * dtypes[name].itemsize
        device = device_of(name, device_map)
        if device == main or (device == "disk" and name not in on_disk):
            resident += size
        elif device in {"cpu", "disk"}:
            layer = name.rpartition(".")[0]
            fetched[layer] = fetched.get(layer, 0) + size
    return resident + max(fetched.values())


def _layer_classes(module: nn.Module) -> list[str]:
    """Return the layers' class names: the classes with instances in a module list."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    return sorted({type(layer).__name__ for layers in lists for layer in layers})


def device_of(name: str, device_map: DeviceMap) -> Device:
    """Return a tensor's device: the device of the innermost mapped part that contains the tensor."""
    while name not in device_map:
        name = name.rpartition(".")[0]
        if not name:
            return device_map[""]
    return device_map[name]
