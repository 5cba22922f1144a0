"""Turns columns into numbers a network can use: standardised items, encoded context, distances."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.architectures.options import ScalarColumn

KM_PER_DEGREE = 111.195
"""Length of a degree of latitude on a sphere of the earth's mean radius, 6371 km."""

SMALLEST_SPREAD = 1e-6
FARTHEST_KM = 100.0
DISTANCE_WIDTH = 2


class Standardised(nn.Module):
    """Centres and scales raw columns with constants of the training data, kept with the weights."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        """width: number of raw columns."""
        super().__init__()
        self.width = width
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def standardise(self, raw: Tensor) -> Tensor:
        """Give raw (..., width) centred, scaled and kept within 8 spreads: a caller may send extremes."""
        return ((raw - self.mean) * self.scale).clamp(-8.0, 8.0)

    def fit(self, rows: Tensor) -> None:
        """Take mean and spread from raw rows (T, width); a constant column is only centred."""
        if len(rows) == 0:
            return
        spread = rows.std(dim=0, correction=0)
        self.mean.copy_(rows.mean(dim=0))
        self.scale.copy_(torch.where(spread > SMALLEST_SPREAD, 1.0 / spread.clamp(min=SMALLEST_SPREAD), 1.0))


def width_of(encoder: Standardised | None) -> int:
    """Give the encoder's width, 0 for none."""
    return 0 if encoder is None else encoder.width


class ColumnEncoder(Standardised):
    """Lays named columns, () or (n,) each, side by side."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """shapes: trailing shape of each column."""
        super().__init__(sum(1 if shape == () else shape[0] for shape in shapes.values()))
        self._scalar = {name: shape == () for name, shape in shapes.items()}

    def raw(self, inputs: Mapping[str, Tensor], prefix: str = "") -> Tensor:
        """Give (..., width), the inputs "<prefix><name>" side by side."""
        parts = [
            inputs[f"{prefix}{name}"].unsqueeze(-1) if scalar else inputs[f"{prefix}{name}"]
            for name, scalar in self._scalar.items()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def forward(self, inputs: Mapping[str, Tensor], prefix: str = "") -> Tensor:
        """Give (..., width), standardised."""
        return self.standardise(self.raw(inputs, prefix))


class ScalarEncoder(Standardised):
    """Encodes scalars, (...) each, as (..., width): the linear ones, the logs, the sines, the cosines."""

    turns: Tensor

    def __init__(self, columns: Sequence[ScalarColumn]) -> None:
        """Encode the columns, all of a kind at once: a graph with few nodes is a fast one."""
        super().__init__(sum(column.width for column in columns))
        self._linear, self._logs, cyclic = (
            [column for column in columns if column.encoding == encoding]
            for encoding in ("linear", "log", "cyclic")
        )
        waves = [(column, n) for column in cyclic for n in range(1, column.harmonics + 1)]
        self._waves = [column for column, _ in waves]
        turns = torch.tensor([2 * math.pi * n / column.period for column, n in waves])
        self.register_buffer("turns", turns, persistent=False)

    def raw(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (..., width), not standardised."""
        parts = [_side_by_side(inputs, self._linear)] if self._linear else []
        if self._logs:
            parts.append(torch.log(_side_by_side(inputs, self._logs).clamp(min=0.0) + 1.0))
        if self._waves:
            angles = _side_by_side(inputs, self._waves) * self.turns
            parts += [torch.sin(angles), torch.cos(angles)]
        return torch.cat(parts, dim=-1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Give (..., width), standardised."""
        return self.standardise(self.raw(inputs))


def _side_by_side(inputs: Mapping[str, Tensor], columns: Sequence[ScalarColumn]) -> Tensor:
    return torch.stack([inputs[column.name] for column in columns], dim=-1)


def distances(position: Tensor, start: Tensor) -> Tensor:
    """Give (B, M, 2): km and log(1 + km) from position (B, 2) to start (B, M, 2), lat, lon degrees.

    Equirectangular: right to 0.1% within a city, and cheap.
    """
    away = start - position[:, None]
    east = away[..., 1] * torch.cos(position[:, None, 0] * (math.pi / 180.0))
    km = (torch.sqrt(away[..., 0].square() + east.square()) * KM_PER_DEGREE).clamp(max=FARTHEST_KM)
    return torch.stack([km, torch.log1p(km)], dim=-1)
