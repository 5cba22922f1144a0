"""The variants: ways to run one model. Each maps inputs in main memory or on the device to scores on the device."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.on_gpu.graphs import GraphPerShape
from benchmarks.on_gpu.histories import EncodedOnDevice, EncodedPinned
from benchmarks.on_gpu.inputs import Tensors, on_device
from benchmarks.on_gpu.modules import build_dlrm, build_ranker
from benchmarks.on_gpu.options import DlrmOptions, RankerOptions
from models.architectures.attention.flex import FLEX
from models.architectures.attention.fused import FUSED, FusedKernels
from models.architectures.attention.kernels import Kernels
from models.architectures.attention.products import PRODUCTS

Run = Callable[[Tensors], Tensor]


class NotHere(Exception):
    """A variant cannot run on this machine."""


@dataclass(frozen=True)
class Variant:
    """A way to run a model.

    Attributes:
        kernels: the ranker's attention kernels.
        compiled: compile the module with torch.compile.
        graphed: replay a CUDA graph per bucket.
        encoded: where encoded histories are kept: "gpu", "pinned", or "" if each batch encodes its histories.
        padded: histories have different lengths.
        in_smoke: whether CPUs run the variant in the smoke test by default. Compilation takes too long for that.
    """

    name: str
    kernels: Kernels = FUSED
    compiled: bool = False
    graphed: bool = False
    encoded: str = ""
    padded: bool = False
    in_smoke: bool = True


_RANKER = (
    Variant("fused"),
    Variant("compile", compiled=True, in_smoke=False),
    Variant("graphs", graphed=True),
    Variant("compile, graphs", compiled=True, graphed=True, in_smoke=False),
    Variant("flex", FLEX),
    Variant("cudnn", FusedKernels("cudnn")),
    Variant("products", PRODUCTS),
    Variant("encoded on the GPU", encoded="gpu"),
    Variant("encoded in pinned memory", encoded="pinned"),
    Variant("fused, padded", padded=True),
    Variant("flex, padded", FLEX, padded=True),
)
_DLRM = (
    Variant("eager", PRODUCTS),
    Variant("compile", PRODUCTS, compiled=True, in_smoke=False),
    Variant("graphs", PRODUCTS, graphed=True),
)


def variants_of(options: RankerOptions | DlrmOptions) -> tuple[Variant, ...]:
    """Return the variants of a model, the most important ones first."""
    return _RANKER if isinstance(options, RankerOptions) else _DLRM


def build(
    variant: Variant, options: RankerOptions | DlrmOptions, device: torch.device, dtype: torch.dtype
) -> Run:
    """Build a model and return the function that runs it.

    Raises:
        NotHere: the variant needs a GPU or a compiler that this machine lacks.
    """
    if device.type != "cuda" and (variant.graphed or variant.name == "cudnn"):
        raise NotHere("needs a GPU")
    if variant.compiled and device.type != "cuda" and shutil.which("g++") is None:
        raise NotHere("needs a C++ compiler")
    if isinstance(options, DlrmOptions):
        return _runs(variant, build_dlrm(options, device, dtype), device)
    module = build_ranker(options, device, dtype, variant.kernels)
    if variant.encoded:
        kept = EncodedOnDevice if variant.encoded == "gpu" else EncodedPinned
        return kept(module, device)
    return _runs(variant, module, device)


def _runs(variant: Variant, module: nn.Module, device: torch.device) -> Run:
    run: Run = torch.compile(module) if variant.compiled else module
    if variant.graphed:
        return GraphPerShape(run)
    return lambda inputs: run(on_device(inputs, device))
