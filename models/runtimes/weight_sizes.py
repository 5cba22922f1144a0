"""How large an artifact's weights are, and which part of them can be split: from the files' headers alone."""

import json
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from models.artifact import GOLDEN, Artifact
from models.errors import ArtifactError

MIB = 1 << 20
_LAYER = re.compile(r"(^|\.)layers?\.\d+\.")
PIPELINED = ("history_ranker", "hf_sequence_classification")
"""Architectures whose layers a pipeline's ranks can share out."""
_TABLE = re.compile(r"embed|table")
_LONGEST_HEADER = 100_000_000
"""As safetensors itself has it."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Weights:
    """What of a model is known before it is loaded.

    whole_bytes: of all weights. split_bytes: of the products in its layers, which tensor parallelism shares out.
    heads: the attention heads that go with them; 0 where there are none to split. layer_bytes, layers: of what a
    pipeline shares out, and how many there are; 0 where it takes none. largest_bytes: of one tensor.
    work: multiplications a token. tokens: most tokens of a candidate. onnx, torch: whether it has weights for these.
    """

    whole_bytes: int
    split_bytes: int = 0
    largest_bytes: int = 0
    heads: int = 0
    layer_bytes: int = 0
    layers: int = 0
    work: int = 0
    tokens: int = 1
    onnx: bool = False
    torch: bool = True

    def of_a_rank(self, ranks: int) -> int:
        """Give the bytes of one of so many ranks: its share of what is split, and all the rest."""
        return self.whole_bytes - self.split_bytes + -(-self.split_bytes // ranks)

    def of_a_stage(self, ranks: int) -> int:
        """Give the bytes that one of so many ranks of a pipeline has at most: its layers, and all that is in none.

        All bytes where there are not so many layers.
        """
        if self.layers < ranks:
            return self.whole_bytes
        most = -(-self.layers // ranks)
        return self.whole_bytes - self.layer_bytes + -(-self.layer_bytes * most // self.layers)


def weights_of(root: Path, artifact: Artifact) -> Weights:
    """Read the headers of the artifact's files.

    Raises:
        ArtifactError: a file cannot be read.
    """
    names = [name for name in (artifact.weights, *artifact.files) if name != GOLDEN]
    tensors = next((name for name in names if name.endswith(".safetensors")), None)
    onnx = next((name for name in names if name.endswith(".onnx")), None)
    pair = artifact.signature.pair
    tokens = 1 if pair is None else pair.max_length
    if tensors is None:
        size = (root / onnx).stat().st_size if onnx is not None else 0
        return Weights(size, largest_bytes=size, work=size // 4, tokens=tokens, onnx=True, torch=False)
    sizes = _sizes(root / tensors)
    in_layers = [size for name, size in sizes.items() if _LAYER.search(name) and len(size[0]) == 2]
    products = [s for name, (s, _) in sizes.items() if len(s) == 2 and not _TABLE.search(name)]
    options = artifact.architecture
    staged = [name for name in sizes if _LAYER.search(name)] if options.get("name") in PIPELINED else []
    heads = int(options.get("heads", options.get("config", {}).get("num_attention_heads", 0)))
    return Weights(
        whole_bytes=sum(size for _, size in sizes.values()),
        split_bytes=sum(size for _, size in in_layers) if heads else 0,
        largest_bytes=max((size for _, size in sizes.values()), default=0),
        heads=heads,
        layer_bytes=sum(sizes[name][1] for name in staged),
        layers=len({_layer_of(name) for name in staged}),
        work=sum(prod(shape) for shape in products),
        tokens=tokens,
        onnx=onnx is not None,
        torch=bool(options),
    )


def _layer_of(name: str) -> str:
    match = _LAYER.search(name)
    assert match is not None, "it is a layer's"
    return match.group()


def _sizes(path: Path) -> dict[str, tuple[list[int], int]]:
    """Give every tensor's shape and bytes; a safetensors file begins with the length of a JSON header."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(min(length, _LONGEST_HEADER)))
        return {
            name: (tensor["shape"], prod(tensor["shape"]) * _BYTES[tensor["dtype"]])
            for name, tensor in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError) as error:
        raise ArtifactError(f"{path}: cannot be read as safetensors: {error}; copy it again") from error
