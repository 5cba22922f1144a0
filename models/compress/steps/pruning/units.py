"""The units of a module that can be removed: attention heads, and hidden units of feed-forward layers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from models.architectures.base import Architecture
from models.architectures.dlrm import Dlrm
from models.architectures.hyper_ranker import HyperRanker
from models.architectures.layers import TransformerLayer
from models.architectures.pooled_ranker import PooledRanker
from models.architectures.resizing import LowRank, parts_of
from models.architectures.sequence_classifier import SequenceClassifier

UnitKind = Literal["heads", "hidden"]
_ATTENTION = "attention.self"
_HEADS = ("attention.self.query", "attention.self.key", "attention.self.value")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of one layer. A unit is some rows of the layers that make it, and some columns of those that read it.

    Attributes:
        where: name for reports, such as "layers.0".
        made_by: dotted names of the linear layers whose outputs are the units.
        read_by: dotted names of the linear layers whose inputs are the units.
        block: rows and columns per unit: the width of a head, or 1.
    """

    where: str
    made_by: tuple[str, ...]
    read_by: tuple[str, ...]
    block: int = 1

    def count(self, module: nn.Module) -> int:
        """Return the number of units in a module."""
        return parts_of(module.get_submodule(self.made_by[0]))[1].out_features // self.block


def units_of(module: Architecture, kind: UnitKind) -> list[Units]:
    """Return a module's units, layer by layer. The list is empty if the architecture has none of this kind."""
    return list(_heads(module) if kind == "heads" else _hidden(module))


def _heads(module: Architecture) -> Iterator[Units]:
    for name, part in module.named_modules():
        if isinstance(part, TransformerLayer):
            made_by: tuple[str, ...] = (f"{name}.q_proj", f"{name}.k_proj", f"{name}.v_proj")
            yield Units(name, made_by, (f"{name}.o_proj",), part.head_dim)
    for name in _bert_layers(module):
        width = int(module.get_submodule(f"{name}.{_ATTENTION}").attention_head_size)  # type: ignore[arg-type]
        made_by = tuple(f"{name}.{projection}" for projection in _HEADS)
        yield Units(name, made_by, (f"{name}.attention.output.dense",), width)


def _hidden(module: Architecture) -> Iterator[Units]:
    for name, part in module.named_modules():
        if isinstance(part, TransformerLayer):
            yield Units(name, (f"{name}.up_proj",), (f"{name}.down_proj",))
    for name in _bert_layers(module):
        yield Units(name, (f"{name}.intermediate.dense",), (f"{name}.output.dense",))
    if isinstance(module, PooledRanker):
        yield Units("history", ("past_up",), ("past_down",))
        yield Units("candidates", ("request_proj", "item_proj", "match_proj"), ("score_proj",))
    if isinstance(module, HyperRanker):
        yield Units("code", ("code_proj",), ("layer_proj",))
    if isinstance(module, Dlrm):
        for stack in ("bottom", "top"):
            layers = [
                f"{stack}.{name}"
                for name, part in module.get_submodule(stack).named_children()
                if isinstance(part, (nn.Linear, LowRank))
            ]
            for maker, reader in pairwise(layers):
                yield Units(maker, (maker,), (reader,))


def _bert_layers(module: Architecture) -> Iterator[str]:
    """Yield the names of layers that are built as in BERT, which RoBERTa and ELECTRA have too."""
    if not isinstance(module, SequenceClassifier):
        return
    names = dict(module.named_modules())
    parts = (*_HEADS, "attention.output.dense", "intermediate.dense", "output.dense")
    for name in names:
        if all(f"{name}.{part}" in names for part in parts):
            yield name


def keep(module: nn.Module, units: Units, kept: Tensor) -> None:
    """Remove all units but those with the given numbers, in place."""
    rows = (kept[:, None] * units.block + torch.arange(units.block)).flatten()
    for name in units.made_by:
        _replace(module, name, rows, axis=0)
    for name in units.read_by:
        _replace(module, name, rows, axis=1)


def _replace(module: nn.Module, name: str, kept: Tensor, axis: int) -> None:
    """Keep some rows (axis 0) or columns (axis 1) of a linear layer's matrix."""
    product = module.get_submodule(name)
    part = parts_of(product)[1 - axis]
    part.weight = nn.Parameter(part.weight.detach().index_select(axis, kept))
    if axis == 0:
        part.out_features = len(kept)
        if part.bias is not None:
            part.bias = nn.Parameter(part.bias.detach()[kept])
    else:
        part.in_features = len(kept)
