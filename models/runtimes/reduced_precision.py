"""Fewer bits: linear layers and attention in bfloat16, the rest as it was.

A whole module in bfloat16 ranks by other numbers than it was trained on: with 8 bits a latitude of 60.17 degrees is
60.25, 9 km away, and an age of 301 days is one of 300. So encoders, distances and norms keep their 32 bits.
"""

from typing import Literal

import torch
from torch import nn

Dtype = Literal["fp32", "bf16"]


def narrowed_dtypes(module: nn.Module, dtype: Dtype) -> dict[str, torch.dtype]:
    """Give the dtype that each tensor of the module's state is to have, by name."""
    linear = {
        f"{name}.{own}"
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear)
        for own, _ in part.named_parameters(recurse=False)
    }
    return {
        name: torch.bfloat16 if dtype == "bf16" and name in linear else tensor.dtype
        for name, tensor in module.state_dict().items()
    }


def arithmetic_of(dtype: Dtype, device_type: str) -> torch.autocast:
    """Give the context in which such a module is run: products are taken in the narrow type, sums are kept wide."""
    return torch.autocast(device_type, torch.bfloat16, enabled=dtype == "bf16")
