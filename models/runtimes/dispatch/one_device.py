"""Moves an operation's tensors to one device, for a model whose layers are on several GPUs."""

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


class OnOneDevice(TorchFunctionMode):
    """Moves all tensors in an operation to the last tensor's device.

    So outputs from layers on several GPUs can be combined.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Move all tensors to the device of the last non-scalar tensor, then run the operation."""
        kwargs = kwargs or {}
        placed = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        if len(placed) > 1 and any(tensor.device != placed[-1].device for tensor in placed):
            device = placed[-1].device
            args, kwargs = tree_map(
                lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, (args, kwargs)
            )
        return func(*args, **kwargs)
