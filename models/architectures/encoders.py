"""Encoders from feature columns to network inputs: standardised columns, encoded scalars and distances."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from models.architectures.options import ScalarColumn

KM_PER_DEGREE = 111.195
"""Length of one degree of latitude, for the earth's mean radius of 6371 km."""

SMALLEST_SPREAD = 1e-6
"""A column with a smaller standard deviation counts as constant."""
LIMIT = 8.0
"""Standardised values are clamped to this number of standard deviations, unless an encoder has another limit."""
FARTHEST_KM = 100.0
"""Distances are clamped to this value."""
DISTANCE_WIDTH = 2
"""Numbers per encoded distance: km and log(1 + km)."""


class Standardised(nn.Module):
    """Centres and scales raw columns. The constants come from the training data and are stored with the weights.

    Attributes:
        mean: (width,), column means.
        scale: (width,), 1 / standard deviation, or 1 for a constant column.
        limit: standard deviations to which values are clamped. None: they are not clamped.
    """

    mean: Tensor
    scale: Tensor
    limit: float | None = LIMIT

    def __init__(self, width: int) -> None:
        """Start with mean 0 and scale 1 for each of ``width`` columns."""
        super().__init__()
        self.width = width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def standardise(self, raw: Tensor) -> Tensor:
        """Return raw values (..., width), centred and scaled.

        The result is clamped to ``limit``, because a caller may send extreme values.
        """
        scaled = (raw - self.mean) * self.scale
        return scaled if self.limit is None else scaled.clamp(-self.limit, self.limit)

    def fit(self, rows: Tensor) -> None:
        """Set the constants from T raw rows (T, width). A constant column is centred but not scaled."""
        if len(rows) == 0:
            return
        spread = rows.std(dim=0, correction=0)
        self.mean.copy_(rows.mean(dim=0))
        self.scale.copy_(torch.where(spread > SMALLEST_SPREAD, 1.0 / spread.clamp(min=SMALLEST_SPREAD), 1.0))


def width_of(encoder: Standardised | None) -> int:
    """Return the encoder's width, or 0 for None."""
    return 0 if encoder is None else encoder.width


class ColumnEncoder(Standardised):
    """Concatenates named columns with trailing shape () or (n,), and standardises them."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Set the trailing shapes by column name, each () or (n,)."""
        super().__init__(sum(1 if shape == () else shape[0] for shape in shapes.values()))
        self._scalar = {name: shape == () for name, shape in shapes.items()}

    def raw(self, inputs: Mapping[str, Tensor], prefix: str = "") -> Tensor:
        """Concatenate the inputs "<prefix><name>" along the last axis, (..., width)."""
        parts = [
            inputs[f"{prefix}{name}"].unsqueeze(-1) if scalar else inputs[f"{prefix}{name}"]
            for name, scalar in self._scalar.items()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def forward(self, inputs: Mapping[str, Tensor], prefix: str = "") -> Tensor:
        """Return the standardised columns, (..., width)."""
        return self.standardise(self.raw(inputs, prefix))


class ScalarEncoder(Standardised):
    """Encodes scalar columns, each (...), as one tensor (..., width), and standardises them.

    The result's columns are grouped by encoding: linear, log, sines, cosines.

    Attributes:
        linear: the columns that are encoded as they are.
        logs: the columns that are encoded as log(1 + x).
        waves: the cyclic columns, each once for every harmonic.
        turns: radians per unit for each harmonic n, 2 pi n / period.
    """

    turns: Tensor

    def __init__(self, columns: "Sequence[ScalarColumn]") -> None:
        """Group the columns by encoding, because a graph with fewer nodes runs faster."""
        super().__init__(sum(column.width for column in columns))
        self.linear, self.logs, cyclic = (
            [column for column in columns if column.encoding == encoding]
            for encoding in ("linear", "log", "cyclic")
        )
        waves = [(column, n) for column in cyclic for n in range(1, column.harmonics + 1)]
        self.waves = [column for column, _ in waves]
        turns = torch.tensor([2 * math.pi * n / column.period for column, n in waves])
        self.register_buffer("turns", turns, persistent=False)

    def raw(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the encoded columns, (..., width), before they are standardised."""
        parts = [_side_by_side(inputs, self.linear)] if self.linear else []
        if self.logs:
            parts.append(torch.log(_side_by_side(inputs, self.logs).clamp(min=0.0) + 1.0))
        if self.waves:
            angles = _side_by_side(inputs, self.waves) * self.turns
            parts += [torch.sin(angles), torch.cos(angles)]
        return torch.cat(parts, dim=-1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the encoded and standardised columns, (..., width)."""
        return self.standardise(self.raw(inputs))


def _side_by_side(inputs: Mapping[str, Tensor], columns: "Sequence[ScalarColumn]") -> Tensor:
    return torch.stack([inputs[column.name] for column in columns], dim=-1)


def distances(position: Tensor, start: Tensor) -> Tensor:
    """Return km and log(1 + km) from each position to each start, (B, M, 2).

    The equirectangular projection is cheap, and accurate to 0.1% within a city.

    Args:
        position: (B, 2), latitude and longitude in degrees.
        start: (B, M, 2), latitude and longitude in degrees.
    """
    offset = start - position[:, None]
    east = offset[..., 1] * torch.cos(position[:, None, 0] * (math.pi / 180.0))
    km = (torch.sqrt(offset[..., 0].square() + east.square()) * KM_PER_DEGREE).clamp(max=FARTHEST_KM)
    return torch.stack([km, torch.log1p(km)], dim=-1)
