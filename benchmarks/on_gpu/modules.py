"""Builds the measured modules with random weights. On one device all modules of a workload have the same weights."""

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from benchmarks.on_gpu.options import DlrmOptions, RankerOptions
from models.architectures.attention.products import PRODUCTS
from models.architectures.dlrm import Dlrm
from models.architectures.gpu_form import to_gpu_form
from models.architectures.history_ranker import HistoryRanker

if TYPE_CHECKING:  # the classes need pydantic, and have the same fields
    from models.architectures import options as models_options
    from models.architectures.attention.kernels import Kernels

_SEED = 0


def build_ranker(
    options: RankerOptions,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    kernels: "Kernels" = PRODUCTS,
) -> HistoryRanker:
    """Return a ranker in the form for GPUs, or with ``PRODUCTS`` in the form for CPUs.

    Args:
        options: its options.
        device: its device.
        dtype: type of the layers. Encoders and embeddings are float32.
        kernels: its attention kernels.
    """
    torch.manual_seed(_SEED)
    with device:  # a GPU draws hundreds of millions of weights much faster
        module = HistoryRanker(cast("models_options.HistoryRankerOptions", options))
    module.eval().requires_grad_(False)
    module.narrow_layers(dtype)
    if kernels is not PRODUCTS:
        to_gpu_form(module, kernels)
    return module


def build_dlrm(options: DlrmOptions, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a DLRM whose networks and table are of one type. It reads float32 inputs."""
    torch.manual_seed(_SEED)
    with device:
        module = Dlrm(cast("models_options.DlrmOptions", options))
    module.eval().requires_grad_(False).to(dtype)
    module.register_forward_pre_hook(
        lambda _module, arguments: ({**arguments[0], "dense": arguments[0]["dense"].to(dtype)},)
    )
    return module
