"""The models for benchmarks/sharding.py as artifacts, and inputs in their shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.architectures.options import SIZES, HistoryRankerOptions
from models.artifact import Artifact, write_artifact
from models.signature import Inputs, InputSpec, Signature
from models.training.export import SAFETENSORS, weight_writer
from walks.sources import TOKENIZER, locate

BERT_BASE = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 30_522,
    "num_labels": 1,
}
_PAIR = {"query": "context.query", "text": "details.text", "max_length": 512}
_HISTORY = 20
_LENGTHS = {"longest": _HISTORY}


@dataclass(frozen=True)
class Case:
    """A model on disk.

    Attributes:
        shapes: the input shapes that are compared, as (candidates, requests) or (pairs, tokens).
    """

    name: str
    root: Path
    artifact: Artifact
    shapes: tuple[tuple[int, int], ...]

    def inputs(self, shape: tuple[int, int], seed: int = 0) -> Inputs:
        """Return random inputs: token pairs, or requests with candidates, one chunk per request."""
        random = np.random.default_rng(seed)
        sizes = _LENGTHS | {"requests": shape[1], "chunks": shape[1], "candidates": shape[0]}
        if self.artifact.signature.pair is not None:
            sizes = {"pairs": shape[0], "tokens": shape[1]}
        signature = self.artifact.signature
        return {spec.name: _values(spec, _shape(spec, sizes, signature), random) for spec in signature.inputs}


def walks_ranker(home: Path, _folder: Path) -> Case:
    """Return the walks' trained ranker.

    Raises:
        ArtifactError: the ranker does not exist.
    """
    root = home / "walks" / "models" / "ranker"
    return Case("walks ranker", root, Artifact.read(root), ((200, 1), (64, 4), (17, 9)))


def large_ranker(home: Path, folder: Path) -> Case:
    """Return the walks' ranker in its size ``large``, with random weights."""
    ranker = Artifact.read(home / "walks" / "models" / "ranker")
    options = {**ranker.architecture, **SIZES["large"].model_dump()}
    return _written("walks ranker, large", folder, build_architecture(options), ((64, 1), (16, 2)))


def bert_base(_home: Path, folder: Path) -> Case:
    """Return a cross-encoder with BERT-base's shape and random weights."""
    options = {"name": "hf_sequence_classification", "config": BERT_BASE, "pair": _PAIR, "types": True}
    return _written("BERT-base", folder, build_architecture(options), ((16, 32), (5, 71), (1, 200)))


def minilm(_home: Path, folder: Path) -> Case:
    """Return MiniLM with its real weights, and with a random head."""
    from models.text.hugging_face import load_folder

    loaded = load_folder(
        locate(TOKENIZER).parent, query="context.query", text="details.text", random_head=True
    )
    return _written("MiniLM", folder, loaded.module, ((16, 32), (50, 64), (3, 256)))


def _written(name: str, folder: Path, module: Architecture, shapes: tuple[tuple[int, int], ...]) -> Case:
    signature = module.signature("")
    root = folder / name.replace(" ", "-").replace(",", "")
    artifact = write_artifact(
        root,
        name=name,
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, onnx=False),
        architecture=module.options.model_dump(mode="json"),
    )
    return Case(name, root, artifact, shapes)


def _values(spec: InputSpec, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    if spec.source == "batch.chunk_of":
        return np.arange(shape[0])
    if spec.source == "tokens.ids":
        return random.integers(1000, 30_000, shape)
    if spec.source == "tokens.types":
        return np.zeros(shape, dtype=np.int64)
    if spec.dtype == "bool" or spec.source == "tokens.mask":
        return np.ones(shape, dtype=spec.dtype)
    return random.normal(size=shape).astype(spec.dtype)


def _shape(spec: InputSpec, sizes: dict[str, int], signature: Signature) -> tuple[int, ...]:
    return (*(sizes[axis.partition(" ")[0]] for axis in signature.axes(spec)), *spec.shape)


def tiny(folder: Path, like: Case) -> Case:
    """Return a model with very few weights that imports the same libraries as ``like``."""
    if like.artifact.signature.pair is None:
        return _next_to_no_work(folder / "before", layers=4, heads=4)
    return bert_like(folder / "before", layers=4, pairs=2)


def bert_like(folder: Path, *, layers: int, pairs: int) -> Case:
    """Return a cross-encoder with very few weights."""
    small = {
        **BERT_BASE,
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 32,
    }
    options = {"name": "hf_sequence_classification", "config": small, "pair": _PAIR, "types": True}
    return _written("tiny", folder, build_architecture(options), ((pairs, 8),))


def payload(_home: Path, folder: Path) -> Case:
    """Return a model that does hardly any work on 256 KB of inputs, so that its time is the shard group's overhead."""
    return _next_to_no_work(folder, layers=1, heads=2)


def _next_to_no_work(folder: Path, *, layers: int, heads: int) -> Case:
    options = HistoryRankerOptions(items={"payload": (320,)}, width=8, heads=heads, layers=layers, hidden=8)
    return _written("256 KB, next to no work", folder, build_architecture(options.model_dump()), ((200, 1),))


CASES: dict[str, Callable[[Path, Path], Case]] = {
    "walks": walks_ranker,
    "bert": bert_base,
    "minilm": minilm,
    "large": large_ranker,
    "payload": payload,
}
