"""Small Hugging Face cross-encoders with random weights, large enough that every input affects their scores."""

from typing import Any

import numpy as np
import torch

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.signature import Inputs

LAYERS = 5
WORDS = 200


def bert(kind: str = "bert", **fields: Any) -> Architecture:
    """Return a model of the given type."""
    config = {
        "model_type": kind,
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": WORDS,
        "num_labels": 1,
        "initializer_range": 0.2,
        **fields,
    }
    pair = {"query": "context.query", "text": "details.text", "max_length": 64}
    torch.manual_seed(3)
    options = {"name": "hf_sequence_classification", "config": config, "pair": pair}
    return build_architecture(options).eval()


def tokens(module: Architecture, pairs: int, length: int, seed: int = 0) -> Inputs:
    """Return random pairs, most of them with padding."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, length + 1, pairs)
    drawn = {
        "tokens.ids": random.integers(5, WORDS, (pairs, length)),
        "tokens.mask": (np.arange(length)[None, :] < lengths[:, None]).astype(np.int64),
        "tokens.types": random.integers(0, 2, (pairs, length)),
    }
    return {spec.name: drawn[spec.source] for spec in module.signature("").inputs}
