"""DeepSpeed's tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053): one rank's part of a model.

All ranks in the group load the model and run the same code. In each layer, attention and feed-forward each consist of
two matrix products. The first product is split by columns, the second by rows. The second result is all-reduced, so
there are two all-reduces per layer. Every rank has the complete weights outside the layers (embeddings, encoders,
heads). Weights are views of the mapped file until a layer is split. Then only the rank's part is copied.

DeepSpeed's shared-memory all-reduce is not used, for two reasons. It waits in an endless loop, so that all ranks hang
if one rank dies during a batch. And it supports only one group per process. The process group that the caller passes
may use shared memory in its own way.
"""

import contextlib
import io
import logging
from pathlib import Path

import torch
from torch import nn
from torch.distributed import ProcessGroup

from models.architectures.base import Architecture
from models.architectures.layers import TransformerLayer
from models.architectures.resizing import LowRank
from models.artifact import Artifact
from models.errors import RuntimeFailure
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from models.runtimes.pytorch.eager import ModuleRuntime
from models.runtimes.tensor_parallel.mapped_weights import mapped_module, release_pages
from models.runtimes.tensor_parallel.sharded_linear import lighten

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BITS = {"int8": 8, "int4": 4}
_ROW_PARALLEL = ("o_proj", "down_proj")
"""Projections in our own layers whose results are summed over the ranks."""


def use_group(group: ProcessGroup) -> None:
    """Make DeepSpeed split models over this group. Call it once per process, after torch.distributed is initialised.

    Raises:
        RuntimeFailure: DeepSpeed is not installed.
    """
    try:
        import deepspeed
        from deepspeed.inference.engine import InferenceEngine
        from deepspeed.utils.logging import logger
    except ImportError as error:
        raise RuntimeFailure("DeepSpeed is not installed; pip install 'rankway[sharding]'") from error
    logger.setLevel(logging.WARNING)
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    deepspeed.comm.init_distributed(dist_backend=backend, auto_mpi_discovery=False)
    InferenceEngine.inference_mp_group = group


class DeepSpeedRuntime(ModuleRuntime):
    """One rank's part of a model. All ranks call ``run`` with the same inputs, and every rank gets the outputs."""

    def __init__(self, path: Path, artifact: Artifact, config: DeepSpeedConfig) -> None:
        """Load this rank's part of the weights at ``path``. All ranks must load at the same time, after ``use_group``.

        Raises:
            RuntimeFailure: the weights cannot be read, or the model cannot be split over this number of ranks.
        """
        torch.set_num_threads(config.threads)
        module = mapped_module(path, artifact)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            _split(module, config).to(device)
            release_pages(path)
            if config.cuda_graph:
                if device != "cuda":
                    raise ValueError("CUDA graphs need a CUDA device; remove runtime.cuda_graph")
                module.compile(mode="reduce-overhead", dynamic=False)  # one graph per shape
        except (RuntimeError, ValueError, AssertionError, AttributeError, NotImplementedError) as error:
            raise RuntimeFailure(
                f"DeepSpeed cannot split {artifact.name} over {config.shards} ranks: {error}"
            ) from error
        super().__init__(module, artifact, device)


def _split(module: Architecture, config: DeepSpeedConfig) -> nn.Module:
    """Replace each layer by this rank's part. Everything outside the layers stays the same."""
    own = [layer for layer in module.modules() if isinstance(layer, TransformerLayer)]
    inner = getattr(module, "model", None)
    if own:
        if config.kernel_injection:
            raise ValueError("DeepSpeed has no kernels for these layers; remove runtime.kernel_injection")
        for layer in own:
            _check_heads(layer.heads, config)
            if config.quantization is None:
                _split_layer(layer)
                lighten(layer)
            _convert_products(layer, _DTYPES[config.dtype])
            _quantise(layer, config)
    elif isinstance(inner, nn.Module) and hasattr(inner, "config"):
        # A Hugging Face model: DeepSpeed finds its layers.
        if getattr(module.options, "linears", None):
            raise ValueError(
                "a pruned or factorised text model cannot be split by heads; use runtime.kind: onnx, torch or "
                "accelerate"
            )
        _check_heads(getattr(inner.config, "num_attention_heads", config.shards), config)
        _initialise(inner, config)
        if not config.kernel_injection:
            lighten(inner)
        inner.to(_DTYPES[config.dtype])
        _quantise(inner, config)
    else:
        raise ValueError("the model has no transformer layers; use runtime.kind: onnx or torch")
    return module


def _check_heads(heads: int, config: DeepSpeedConfig) -> None:
    if heads % config.shards:
        raise ValueError(
            f"the number of shards must divide the {heads} attention heads, got {config.shards}; change runtime.shards"
        )


def _split_layer(layer: TransformerLayer) -> None:
    """Split one of our own layers, as ``init_inference`` would with an injection policy.

    ``init_inference`` is slow. It imports half of transformers to compare one class, which adds four seconds to the
    group's start, and it ends with a broadcast.
    """
    from deepspeed.inference.engine import InferenceEngine
    from deepspeed.module_inject.layers import LinearAllreduce, LinearLayer

    for name, product in list(layer.named_children()):
        if not name.endswith("_proj"):
            continue
        kind = LinearAllreduce if name in _ROW_PARALLEL else LinearLayer
        group = InferenceEngine.inference_mp_group
        if isinstance(product, LowRank):  # the part that reads split inputs or makes split outputs is split
            part = "first" if name in _ROW_PARALLEL else "second"
            setattr(product, part, kind(product.get_submodule(part), group, name=f"{name}.{part}"))
        else:
            setattr(layer, name, kind(product, group, name=name))


def _convert_products(layer: TransformerLayer, dtype: torch.dtype) -> None:
    """Compute the projections in ``dtype``. Encoders, norms, attention and the residual stream stay float32."""
    if dtype == torch.float32:
        return
    for name, product in layer.named_children():
        if name.endswith("_proj"):
            product.to(dtype)
            product.register_forward_pre_hook(lambda _module, inputs: (inputs[0].to(dtype),))
            product.register_forward_hook(lambda _module, _inputs, result: result.float())


def _quantise(module: nn.Module, config: DeepSpeedConfig) -> None:
    """Quantise linear layers' weights in groups. DeepSpeed supports this on CUDA only."""
    if config.quantization is None:
        return
    from deepspeed.inference.quantization.quantization import _init_group_wise_weight_quantization

    if not torch.cuda.is_available():
        raise ValueError("quantization needs a CUDA device; remove runtime.quantization")
    module.to("cuda")
    options = {"num_bits": _BITS[config.quantization], "group_size": 64, "group_dim": 1, "symmetric": False}
    # The key is matched as a substring of module names, so "" matches all modules.
    _init_group_wise_weight_quantization(module, {"weight_quantization": {"post_init_quant": {"": options}}})


def _initialise(module: nn.Module, config: DeepSpeedConfig) -> None:
    import deepspeed

    with contextlib.redirect_stdout(io.StringIO()):  # DeepSpeed prints the layers that it finds
        deepspeed.init_inference(
            module,
            tensor_parallel={"tp_size": config.shards, "tp_grain_size": 1},  # split into equal parts
            # A conversion here would copy the whole model before it is split. Only DeepSpeed's kernels need it.
            dtype=_DTYPES[config.dtype] if config.kernel_injection else torch.float32,
            replace_with_kernel_inject=config.kernel_injection,
        )
