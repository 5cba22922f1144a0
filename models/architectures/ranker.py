"""What rankers share: the encoders of a user's past, of the request and of candidates, and where inputs come from."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.architectures.base import Architecture
from models.architectures.encoders import DISTANCE_WIDTH, ColumnEncoder, ScalarEncoder, distances, width_of
from models.architectures.options import RankerReads
from models.signature import InputSpec, Signature


class Ranker(Architecture):
    """Scores chunks (R, C) of the candidates of B requests; inputs as ``signature`` declares them."""

    def __init__(self, reads: RankerReads) -> None:
        """Make the encoders."""
        super().__init__()
        self._reads = reads
        self.items = ColumnEncoder(reads.items)
        self.past = ScalarEncoder(reads.history_values) if reads.history_values else None
        self.context = ScalarEncoder(reads.context) if reads.context else None
        self.profile = ColumnEncoder({"profile": reads.profile[1]}) if reads.profile else None
        self.request = ColumnEncoder(_named(reads.request)) if reads.request else None
        self.cells = ColumnEncoder(reads.cells) if reads.cells else None
        self.past_width = self.items.width + width_of(self.past)
        self.request_width = width_of(self.context) + width_of(self.profile) + width_of(self.request)
        distance_width = DISTANCE_WIDTH * len(reads.distances)
        self.candidate_width = self.items.width + width_of(self.cells) + distance_width

    def read_past(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (B, L, past_width): the rated items and what is known of each rating, oldest first."""
        parts = [self.items(inputs, "past_")]
        if self.past is not None:
            parts.append(self.past(inputs))
        return torch.cat(parts, dim=-1)

    def read_profile(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Give (B, profile's width)."""
        return None if self.profile is None else self.profile(inputs)

    def read_request(self, inputs: Mapping[str, Tensor], profile: Tensor | None) -> Tensor | None:
        """Give (B, request_width): the context, the profile, other features of the request."""
        parts = [] if self.context is None else [self.context(inputs)]
        parts += [] if profile is None else [profile]
        parts += [] if self.request is None else [self.request(inputs)]
        return torch.cat(parts, dim=-1) if parts else None

    def read_candidates(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (R, C, candidate_width): each item, what holds of its cell, and how far it is."""
        parts = [self.items(inputs, "item_")]
        if self.cells is not None:
            parts.append(self.cells(inputs, "cell_"))
        for pair in self._reads.distances:
            origin = inputs[f"from_{_name(pair.origin)}"][inputs["chunk_of"]]
            parts.append(distances(origin, inputs[f"to_{pair.place}"]))
        return torch.cat(parts, dim=-1)

    def signature(self, feature_hash: str) -> Signature:
        """Declare the inputs and where they come from."""
        reads = self._reads
        mine = f"user.{reads.history}"
        inputs: list[InputSpec] = []
        for name, shape in reads.items.items():
            inputs.append(InputSpec(name=f"item_{name}", source=f"item.{name}", shape=shape))
            inputs.append(InputSpec(name=f"past_{name}", source=f"item.{name}@{mine}:list", shape=shape))
        inputs += [InputSpec(name=c.name, source=f"user.{c.name}:list") for c in reads.history_values]
        inputs.append(InputSpec(name="history_mask", source=f"{mine}:mask", dtype="bool"))
        inputs += [InputSpec(name=c.name, source=f"context.{c.name}") for c in reads.context]
        if reads.profile:
            inputs.append(
                InputSpec(name="profile", source=f"user.{reads.profile[0]}", shape=reads.profile[1])
            )
        inputs += [InputSpec(name=_name(s), source=s, shape=shape) for s, shape in reads.request.items()]
        for name, shape in reads.cells.items():
            inputs.append(InputSpec(name=f"cell_{name}", source=f"cell.{name}", shape=shape))
        for origin in dict.fromkeys(pair.origin for pair in reads.distances):
            inputs.append(InputSpec(name=f"from_{_name(origin)}", source=origin, shape=(2,)))
        for place in dict.fromkeys(pair.place for pair in reads.distances):
            inputs.append(InputSpec(name=f"to_{place}", source=f"item.{place}", shape=(2,)))
        inputs.append(InputSpec(name="chunk_of", source="batch.chunk_of", dtype="int64"))
        return Signature(inputs=tuple(inputs), layout="chunks", feature_hash=feature_hash)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Take the encoders' constants from training inputs, padded slots left out."""
        self.items.fit(self.items.raw(inputs, "item_")[inputs["present"]])
        if self.past is not None:
            self.past.fit(self.past.raw(inputs)[inputs["history_mask"]])
        if self.context is not None:
            self.context.fit(self.context.raw(inputs))
        if self.profile is not None:
            self.profile.fit(self.profile.raw(inputs))
        if self.request is not None:
            self.request.fit(self.request.raw(inputs))
        if self.cells is not None:
            self.cells.fit(self.cells.raw(inputs, "cell_")[inputs["present"]])


def _named(sources: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {_name(source): shape for source, shape in sources.items()}


def _name(source: str) -> str:
    return source.replace(".", "_")
