"""Products with a rank's part of the weights, as light as they can be: DeepSpeed's own cost 40 us each in Python."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup
from torch.nn.functional import linear


class SummedLinear(nn.Module):
    """x A^T + b, of which this rank has some columns of A and takes those of x: the ranks' products are summed."""

    bias: nn.Parameter | None

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, group: ProcessGroup) -> None:
        """weight (out, this rank's part of in); bias (out), the same in all ranks."""
        super().__init__()
        self.weight = weight
        self.register_parameter("bias", bias)
        self._group = group

    def forward(self, x: Tensor) -> Tensor:
        """Give (..., out), the same in all ranks, of x (..., this rank's part of in).

        Raises:
            RuntimeError: a rank does not take part.
        """
        product = linear(x, self.weight)
        self._group.allreduce([product]).wait()
        return product if self.bias is None else product.add_(self.bias)


def lighten(module: nn.Module) -> None:
    """Put light products in the place of DeepSpeed's, which only serve; its other kinds of layers stay."""
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
    """Give the columns of the product that are this rank's: nobody is asked for those."""
    with torch.device("meta"):
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    plain.weight = weight
    plain.register_parameter("bias", bias)
    return plain
