"""Reduced precision: linear layers and attention compute in bfloat16, everything else in 32 bits.

A module with bfloat16 inputs would read other numbers than in training. With 8 significant bits, a latitude of
60.17 degrees becomes 60.25, which is 9 km away, and an age of 301 days becomes 300. So encoders, distances and norms
stay in 32 bits.
"""

from typing import Literal

import torch
from torch import nn

Dtype = Literal["fp32", "bf16"]


def narrowed_dtypes(module: nn.Module, dtype: Dtype) -> dict[str, torch.dtype]:
    """Return dtypes by tensor name in the module's state.

    With ``dtype`` bf16, linear layers' tensors are bfloat16. Other tensors keep their dtype.
    """
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
    """Return the autocast context for the module: products are computed in bfloat16, sums in 32 bits."""
    return torch.autocast(device_type, torch.bfloat16, enabled=dtype == "bf16")
