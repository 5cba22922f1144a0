"""Tensors that a forward pass makes, on the device of its inputs."""

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


class OnOneDevice(TorchFunctionMode):
    """Brings the tensors of an operation to the last one's device: where layers on several GPUs meet."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Move what lies elsewhere, then run the operation; numbers (tensors of no axes) may lie anywhere."""
        kwargs = kwargs or {}
        placed = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        if len(placed) > 1 and any(tensor.device != placed[-1].device for tensor in placed):
            device = placed[-1].device
            args, kwargs = tree_map(
                lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, (args, kwargs)
            )
        return func(*args, **kwargs)
