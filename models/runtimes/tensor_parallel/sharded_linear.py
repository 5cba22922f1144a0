"""Fast linear layers with one rank's part of the weights. DeepSpeed's own layers spend 40 us in Python per call."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.nn.functional import linear


class SummedLinear(nn.Module):
    """Computes x A^T + b with the columns of A distributed over the ranks.

    Each rank has some columns of A and the same columns of x. The ranks' products are summed.

    Attributes:
        bias: b, the same in all ranks. Added once, after the sum.
    """

    bias: nn.Parameter | None

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, group: ProcessGroup) -> None:
        """Take this rank's part of the weights.

        Args:
            weight: (out, columns), this rank's columns of A.
            bias: (out,), the same in all ranks.
            group: the ranks.
        """
        super().__init__()
        self.weight = weight
        self.register_parameter("bias", bias)
        self._group = group

    def forward(self, x: Tensor) -> Tensor:
        """Return the product (..., out), the same in all ranks.

        Args:
            x: (..., columns), the columns of x that belong to this rank's columns of A.

        Raises:
            RuntimeError: another rank has ended or does not answer.
        """
        product = linear(x, self.weight)
        self._group.allreduce([product]).wait()
        return product if self.bias is None else product.add_(self.bias)


def lighten(module: nn.Module) -> None:
    """Replace DeepSpeed's split linear layers by faster layers, which support inference only.

    Layers that gather their outputs, layers of other types, and layers in a group of one rank stay as they are.
    """
    from deepspeed.module_inject.layers import LinearAllreduce, LinearLayer

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            product: Any = child
            if type(product) not in (LinearAllreduce, LinearLayer) or product.mp_group.size() == 1:
                continue
            if type(product) is LinearAllreduce:
                setattr(parent, name, SummedLinear(product.weight, product.bias, product.mp_group))
            elif not product.gather_output:
                setattr(parent, name, _plain(product.weight, product.bias))


def _plain(weight: nn.Parameter, bias: nn.Parameter | None) -> nn.Linear:
    """Return a linear layer for this rank's part of the outputs. It needs no communication."""
    with torch.device("meta"):
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    plain.weight = weight
    plain.register_parameter("bias", bias)
    return plain
