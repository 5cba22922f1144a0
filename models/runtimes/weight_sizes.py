"""Sizes of an artifact's weights and of their divisible parts, read from file headers only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, prod
from pathlib import Path
from typing import Any

from models.artifact import GOLDEN, Artifact, MeasuredRuntime
from models.runtimes.safetensors_header import Described, header_of
from models.runtimes.trees.files import LIGHTGBM_FILE, XGBOOST_FILE

MIB = 1 << 20
_LAYER = re.compile(r"(^|\.)layers?\.\d+\.")
PIPELINED = ("history_ranker", "hf_sequence_classification")
"""Architectures whose layers can be distributed over pipeline ranks."""
_WHOLE = re.compile(r"(q_proj|k_proj|v_proj|up_proj)\.first\.|(o_proj|down_proj)\.second\.")
"""Matrices of factorised layers that every tensor-parallel rank has in full."""
_KEYS = re.compile(r"k_proj(\.second)?\.weight$")
"""Matrices whose rows are the keys of all heads."""
_NATIVE = (LIGHTGBM_FILE, XGBOOST_FILE)
_TABLE = re.compile(r"embed|table")
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Weights:
    """Model sizes that are known before loading.

    Attributes:
        whole_bytes: all weights.
        split_bytes: the layers' matrices, which tensor parallelism splits.
        largest_bytes: the largest tensor.
        heads: attention heads per layer. 0 if there are no heads to split. If pruning left layers with different
            numbers, it is their greatest common divisor, so that ranks can divide all of them.
        splittable: False for a pruned or factorised text model, whose layers DeepSpeed would find and split wrongly.
        layer_bytes: the layers that a pipeline distributes. 0 if the architecture supports no pipeline.
        layers: number of layers that a pipeline distributes.
        work: multiplications per token.
        tokens: maximum number of tokens per candidate.
        onnx: whether the artifact has an ONNX graph.
        torch: whether the artifact has weights that PyTorch can load.
        native_bytes: the file of the library that trained the trees. 0 if there is none.
        fastest: kind of the runtime that an import measured as the fastest. None: it measured nothing.
    """

    whole_bytes: int
    split_bytes: int = 0
    largest_bytes: int = 0
    heads: int = 0
    splittable: bool = True
    layer_bytes: int = 0
    layers: int = 0
    work: int = 0
    tokens: int = 1
    onnx: bool = False
    torch: bool = True
    native_bytes: int = 0
    fastest: MeasuredRuntime | None = None

    def of_a_rank(self, ranks: int) -> int:
        """Return the bytes on one tensor-parallel rank: its share of the split matrices, and all other weights."""
        return self.whole_bytes - self.split_bytes + -(-self.split_bytes // ranks)

    def of_a_stage(self, ranks: int) -> int:
        """Return an upper bound for the bytes on a pipeline rank: its layers, and all weights outside layers.

        With fewer layers than ranks, the bound is ``whole_bytes``.
        """
        if self.layers < ranks:
            return self.whole_bytes
        most = -(-self.layers // ranks)
        return self.whole_bytes - self.layer_bytes + -(-self.layer_bytes * most // self.layers)


def weights_of(root: Path, artifact: Artifact) -> Weights:
    """Return the sizes of an artifact's weights, from its file headers.

    Raises:
        ArtifactError: the safetensors file cannot be read.
    """
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    tensors = next((name for name in names if name.endswith(".safetensors")), None)
    onnx = next((name for name in names if name.endswith(".onnx")), None)
    native = next((name for name in names if name in _NATIVE), None)
    pair = artifact.signature.pair
    tokens = 1 if pair is None else pair.max_length
    if tensors is None:
        graph = onnx or artifact.weights
        # A graph's large weights may be in files beside it, such as model.onnx.data.
        size = sum((root / name).stat().st_size for name in artifact.files if name.startswith(graph))
        return Weights(
            size,
            largest_bytes=size,
            work=size // 4,
            tokens=tokens,
            onnx=onnx is not None,
            torch=False,
            native_bytes=0 if native is None else (root / native).stat().st_size,
            fastest=artifact.runtime,
        )
    sizes = header_of(root / tensors, _size)
    in_layers = [
        size
        for name, size in sizes.items()
        if _LAYER.search(name) and len(size[0]) == 2 and not _WHOLE.search(name)
    ]
    products = [s for name, (s, _) in sizes.items() if len(s) == 2 and not _TABLE.search(name)]
    options = artifact.architecture
    staged = [name for name in sizes if _LAYER.search(name)] if options.get("name") in PIPELINED else []
    heads = _heads(options, sizes)
    return Weights(
        whole_bytes=sum(size for _, size in sizes.values()),
        split_bytes=sum(size for _, size in in_layers) if heads else 0,
        largest_bytes=max((size for _, size in sizes.values()), default=0),
        heads=heads,
        splittable=not _is_compressed_text(options),
        layer_bytes=sum(sizes[name][1] for name in staged),
        layers=len({_layer_of(name) for name in staged}),
        work=sum(prod(shape) for shape in products),
        tokens=tokens,
        onnx=onnx is not None,
        torch=bool(options),
    )


def _heads(options: Mapping[str, Any], sizes: Mapping[str, tuple[list[int], int]]) -> int:
    """Return the heads per layer that can be split, from the options, or from the sizes of pruned layers."""
    if "heads" not in options:
        found = 0 if _is_compressed_text(options) else options.get("config", {}).get("num_attention_heads", 0)
        return int(found)
    width = int(options["width"]) // int(options["heads"])
    keys = [shape[0] // width for name, (shape, _) in sizes.items() if _KEYS.search(name)]
    return gcd(*keys) if options.get("linears") else int(options["heads"])


def _is_compressed_text(options: Mapping[str, Any]) -> bool:
    return bool(options.get("linears")) and "config" in options


def _layer_of(name: str) -> str:
    match = _LAYER.search(name)
    assert match is not None, "only tensors of layers are passed"
    return match.group()


def _size(described: Described) -> tuple[list[int], int]:
    """Return a tensor's shape and bytes."""
    return described.shape, prod(described.shape) * _BYTES[described.dtype]
