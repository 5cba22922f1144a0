"""Small modules of every architecture, and random inputs of any shape for them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.architectures.options import DlrmOptions
from models.signature import Inputs, InputSpec, Signature
from tests.models.worlds import make_hyper, make_pooled, make_ranker, make_reranker, with_random_weights

_ROWS, _WORDS = 11, 50


def make_dlrm(*, dense_per_request: bool) -> Architecture:
    """Return a small DLRM."""
    options = DlrmOptions(
        dense=5, fields=3, rows=_ROWS, width=8, bottom=(6,), top=(7,), dense_per_request=dense_per_request
    )
    return with_random_weights(build_architecture(options.model_dump()), 0)


def make_classifier() -> Architecture:
    """Return a small BERT with one label."""
    config = {
        "model_type": "bert",
        "vocab_size": _WORDS,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 64,
        "num_labels": 1,
    }
    pair = {"query": "context.query", "text": "details.text", "max_length": 64}
    return build_architecture({"name": "hf_sequence_classification", "config": config, "pair": pair}).eval()


ARCHITECTURES: Mapping[str, Callable[[], Architecture]] = {
    "history_ranker": make_ranker,
    "pooled_ranker": make_pooled,
    "hyper_ranker": make_hyper,
    "listwise": make_reranker,
    "dlrm": lambda: make_dlrm(dense_per_request=False),
    "dlrm of requests": lambda: make_dlrm(dense_per_request=True),
    "hf_sequence_classification": make_classifier,
}


def random_inputs(signature: Signature, lengths: Mapping[str, int], seed: int) -> Inputs:
    """Return random inputs.

    Args:
        signature: declares the inputs.
        lengths: requests, extra_chunks, candidates, longest (a history's length) and tokens.
        seed: seed of the values.
    """
    random = np.random.default_rng(seed)
    sizes = {
        **lengths,
        "chunks": lengths["requests"] + lengths["extra_chunks"],
        "pairs": lengths["candidates"],
    }
    return {spec.name: _values(spec, signature, sizes, random) for spec in signature.inputs}


def _values(
    spec: InputSpec, signature: Signature, sizes: Mapping[str, int], random: np.random.Generator
) -> NDArray[np.generic]:
    shape = (*(sizes[axis.partition(" ")[0]] for axis in signature.axes(spec)), *spec.shape)
    if spec.dtype == "bool":  # masks begin with the slots that are used, and a list has at least one
        used = random.integers(spec.source == "batch.mask", shape[1] + 1, (shape[0], 1))
        return np.arange(shape[1]) < used
    if spec.source == "tokens.mask":
        return (np.arange(shape[1]) < random.integers(1, shape[1] + 1, (shape[0], 1))).astype(np.int64)
    if spec.source in {"batch.chunk_of", "batch.request_of"}:
        return np.sort(random.integers(0, sizes["requests"], shape))
    if spec.dtype == "int64":
        return random.integers(0, 2 if spec.source == "tokens.types" else _ROWS, shape)
    return random.normal(size=shape).astype(np.float32)
