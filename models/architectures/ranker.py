"""Base class for rankers: encoders for history, request and candidates, and a signature that declares their inputs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.architectures.base import Architecture
from models.architectures.encoders import DISTANCE_WIDTH, ColumnEncoder, ScalarEncoder, distances, width_of

if TYPE_CHECKING:
    from models.architectures.options import RankerReads
    from models.signature import Signature


class Ranker(Architecture):
    """Scores candidates in chunks (R, C). ``signature`` declares the inputs."""

    def __init__(self, reads: "RankerReads") -> None:
        """Build the encoders for the features that the ranker reads."""
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
        """Return the rated items with their rating values, oldest first, (B, L, past_width)."""
        parts = [self.items(inputs, "past_")]
        if self.past is not None:
            parts.append(self.past(inputs))
        return torch.cat(parts, dim=-1)

    def read_profile(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Return the encoded profiles, (B, profile width), or None if the ranker reads no profile."""
        return None if self.profile is None else self.profile(inputs)

    def read_request(self, inputs: Mapping[str, Tensor], profile: Tensor | None) -> Tensor | None:
        """Return context, profile and other request features, (B, request_width), or None if the ranker reads none."""
        parts = [] if self.context is None else [self.context(inputs)]
        parts += [] if profile is None else [profile]
        parts += [] if self.request is None else [self.request(inputs)]
        return torch.cat(parts, dim=-1) if parts else None

    def read_candidates(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the candidates' item columns, cell features and distances, (R, C, candidate_width)."""
        parts = [self.items(inputs, "item_")]
        if self.cells is not None:
            parts.append(self.cells(inputs, "cell_"))
        for pair in self._reads.distances:
            origin = by_chunk(inputs[f"from_{input_name(pair.origin)}"], inputs)
            parts.append(distances(origin, inputs[f"to_{pair.place}"]))
        return torch.cat(parts, dim=-1)

    def signature(self, feature_hash: str) -> "Signature":
        """Return the declared inputs and their sources in a pipeline."""
        from models.signature import InputSpec, Signature

        reads = self._reads
        history = f"user.{reads.history}"
        inputs: list[InputSpec] = []
        for name, shape in reads.items.items():
            inputs.append(InputSpec(name=f"item_{name}", source=f"item.{name}", shape=shape))
            inputs.append(InputSpec(name=f"past_{name}", source=f"item.{name}@{history}:list", shape=shape))
        inputs += [InputSpec(name=c.name, source=f"user.{c.name}:list") for c in reads.history_values]
        inputs.append(InputSpec(name="history_mask", source=f"{history}:mask", dtype="bool"))
        inputs += [InputSpec(name=c.name, source=f"context.{c.name}") for c in reads.context]
        if reads.profile:
            inputs.append(
                InputSpec(name="profile", source=f"user.{reads.profile[0]}", shape=reads.profile[1])
            )
        inputs += [InputSpec(name=input_name(s), source=s, shape=shape) for s, shape in reads.request.items()]
        for name, shape in reads.cells.items():
            inputs.append(InputSpec(name=f"cell_{name}", source=f"cell.{name}", shape=shape))
        for origin in dict.fromkeys(pair.origin for pair in reads.distances):
            inputs.append(InputSpec(name=f"from_{input_name(origin)}", source=origin, shape=(2,)))
        for column in dict.fromkeys(pair.place for pair in reads.distances):
            inputs.append(InputSpec(name=f"to_{column}", source=f"item.{column}", shape=(2,)))
        inputs.append(InputSpec(name="chunk_of", source="batch.chunk_of", dtype="int64"))
        return Signature(inputs=tuple(inputs), layout="chunks", feature_hash=feature_hash)

    def standardise(self, inputs: Mapping[str, Tensor]) -> None:
        """Fit the encoders' constants to training inputs, without padded slots."""
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


def by_chunk(of_requests: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the chunks' rows (R, ...) of a tensor with one row per request (B, ...).

    Without the input ``chunk_of``, chunk i belongs to request i.
    """
    return of_requests[inputs["chunk_of"]] if "chunk_of" in inputs else of_requests


def _named(sources: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {input_name(source): shape for source, shape in sources.items()}


def input_name(source: str) -> str:
    """Return the name of the input that reads a source."""
    return source.replace(".", "_")
