"""Raw columns with few operations, and the folding of their encoders' constants into a linear layer.

An encoder of a ranker centres and scales its columns. A linear layer that reads them can do this with other weights.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.architectures.encoders import (
    KM_PER_DEGREE,
    LIMIT,
    ColumnEncoder,
    ScalarEncoder,
    Standardised,
    width_of,
)
from models.architectures.ranker import by_chunk, input_name

if TYPE_CHECKING:
    from models.architectures.options import Distance, RankerReads

FAR = 30.0
"""A column is centred, not folded, if its mean is this many standard deviations from 0: float32 would lose digits."""


class Constants:
    """The constants of encoders whose columns lie side by side, in float64.

    Attributes:
        scale: (width,), factors for the columns.
        mean: (width,), means of the columns after ``shift`` was subtracted.
        shift: (width,), subtracted from the raw columns. None: nothing is subtracted.
    """

    def __init__(self, encoders: Sequence[Standardised | None], order: Sequence[int] | None = None) -> None:
        """Join the encoders' constants, in another order if one is given."""
        known = [each for each in encoders if each is not None]
        mean = torch.cat([torch.zeros(0), *(each.mean for each in known)]).double()
        scale = torch.cat([torch.zeros(0), *(each.scale for each in known)]).double()
        if order is not None:
            mean, scale = mean[list(order)], scale[list(order)]
        shift = torch.where((mean * scale).abs() > FAR, mean, 0.0).float()
        self.scale, self.mean = scale, mean - shift
        self.shift = shift if bool(shift.any()) else None

    def shifted(self, raw: Tensor) -> Tensor:
        """Return raw columns (..., width), centred if their means are far from 0."""
        return raw if self.shift is None else raw - self.shift

    def clamped(self, raw: Tensor) -> Tensor:
        """Return raw columns (..., width), shifted, and clamped as the encoders clamp the standardised columns."""
        low, high = ((self.mean + side * LIMIT / self.scale).float() for side in (-1.0, 1.0))
        return torch.minimum(torch.maximum(self.shifted(raw), low), high)

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return a linear layer's matrix (width + further inputs, outputs) and bias (outputs,) for shifted columns.

        Args:
            weight: (outputs, width + further inputs), for standardised columns.
            bias: (outputs,).
        """
        width = len(self.scale)
        of_columns = weight[:, :width].double() * self.scale
        joined = torch.cat([of_columns, weight[:, width:].double()], dim=1)
        return joined.float().t().contiguous(), (bias.double() - of_columns @ self.mean).float()


def plain_columns(
    inputs: Mapping[str, Tensor], reads: "Mapping[str, tuple[int, ...]]", prefix: str
) -> list[Tensor]:
    """Return the inputs "<prefix><name>", each with a last axis."""
    named = ((inputs[f"{prefix}{name}"], shape) for name, shape in reads.items())
    return [values.unsqueeze(-1) if shape == () else values for values, shape in named]


def log_of(values: Tensor) -> Tensor:
    """Return log(1 + x) for values of 0 or more. Smaller ones count as 0."""
    return torch.log(values.clamp(min=0.0) + 1.0)


class RequestColumns(nn.Module):
    """The columns of a request. Scalars are joined along the first axis and transposed, which is one operation for all.

    Attributes:
        order: the column of ``Ranker.read_request`` at each position.
    """

    turns: Tensor

    def __init__(
        self, reads: "RankerReads", context: ScalarEncoder | None, profile: ColumnEncoder | None
    ) -> None:
        """Take the features and the encoders of a ranker."""
        super().__init__()
        groups = ([], [], []) if context is None else (context.linear, context.logs, context.waves)
        linear, logs, waves = ([column.name for column in group] for group in groups)
        scalars = [name for name, shape in reads.request.items() if shape == ()]
        wide = [name for name, shape in reads.request.items() if shape != ()]
        self._names = [*linear, *map(input_name, scalars), *logs, *waves]
        self._sizes = [len(linear) + len(scalars), len(logs), len(waves)]
        self._wide = [*(["profile"] if profile is not None else []), *map(input_name, wide)]
        if context is not None:
            self.register_buffer("turns", context.turns.clone(), persistent=False)
        first = width_of(context)
        columns = iter(range(first, first + width_of(profile) + sum(map(_width, reads.request.values()))))
        of_profile = [next(columns) for _ in range(width_of(profile))]
        of = {name: [next(columns) for _ in range(_width(shape))] for name, shape in reads.request.items()}
        encoded = list(range(first))
        self.order = [
            *encoded[: len(linear)],
            *(column for name in scalars for column in of[name]),
            *encoded[len(linear) :],
            *of_profile,
            *(column for name in wide for column in of[name]),
        ]

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the encoded columns, (B, width), before they are standardised."""
        parts: list[Tensor] = []
        if self._names:
            scalars = torch.cat([inputs[name] for name in self._names]).view(len(self._names), -1).t()
            linear, logs, waves = torch.split(scalars, self._sizes, dim=1)
            parts += [linear] if self._sizes[0] else []
            parts += [log_of(logs)] if self._sizes[1] else []
            if self._sizes[2]:
                angles = waves * self.turns
                parts += [torch.sin(angles), torch.cos(angles)]
        parts += [inputs[name] for name in self._wide]
        return torch.cat(parts, dim=-1)


class DistanceColumns(nn.Module):
    """All distances of a ranker, computed together. Distances over ``FARTHEST_KM`` are not cut here.

    Attributes:
        to_angle: (2 D, 2 D), from the origins' positions to the angles whose cosines scale the offsets.
        to_square: (2 D, D), from squared offsets to squared distances in km.
    """

    to_angle: Tensor
    to_square: Tensor

    def __init__(self, pairs: "Sequence[Distance]") -> None:
        """Take D distances."""
        super().__init__()
        self._origins = [f"from_{input_name(pair.origin)}" for pair in pairs]
        self._places = [f"to_{pair.place}" for pair in pairs]
        to_angle, to_square = (
            torch.zeros(2 * len(pairs), 2 * len(pairs)),
            torch.zeros(2 * len(pairs), len(pairs)),
        )
        for index in range(len(pairs)):
            to_angle[2 * index, 2 * index + 1] = (
                math.pi / 180.0
            )  # the cosine of 0 leaves the latitude as it is
            to_square[2 * index : 2 * index + 2, index] = KM_PER_DEGREE**2
        self.register_buffer("to_angle", to_angle, persistent=False)
        self.register_buffer("to_square", to_square, persistent=False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the distances in km, (R, C, D)."""
        origins = torch.cat([inputs[name] for name in self._origins], dim=-1)
        shrink = torch.cos(origins @ self.to_angle)
        places = torch.cat([inputs[name] for name in self._places], dim=-1)
        offsets = (places - by_chunk(origins, inputs)[:, None]) * by_chunk(shrink, inputs)[:, None]
        return torch.sqrt((offsets * offsets) @ self.to_square)


def _width(shape: tuple[int, ...]) -> int:
    return 1 if shape == () else shape[0]
