"""The scene: the whole simulation state, stored with a built world so that an event stream can continue from it.

It contains values that are hidden from models (tastes, charm), so no model may read it.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from walks.errors import NoWorldError
from walks.map.geometry import Projection
from walks.simulation.news import News
from walks.simulation.people import People
from walks.simulation.utility import RouteTruth
from walks.simulation.weather import Weather


@dataclass(frozen=True)
class Scene:
    """A world's people, routes, news and weather."""

    people: People
    truth: RouteTruth
    news: News
    weather: Weather
    keys: NDArray[np.int64]  # (R,) item keys by route number
    corners: NDArray[np.float64]  # (2, 2) x, y metres: low corner, high corner
    origin: NDArray[np.float64]  # (2,) the projection's lat, lon degrees

    @property
    def projection(self) -> Projection:
        """Converts metres on the plane to degrees, and back."""
        return Projection(*self.origin.tolist())

    def save(self, path: Path) -> None:
        """Write the scene as one .npz file."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("keys", "corners", "origin")}
        for part in _PARTS:
            arrays |= {f"{part}.{name}": value for name, value in vars(getattr(self, part)).items()}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Scene":
        """Read a scene that `save` wrote.

        Raises:
            NoWorldError: the file is missing, damaged, or written by other code.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                parts = {
                    part: kind(**{field.name: stored[f"{part}.{field.name}"][()] for field in fields(kind)})
                    for part, kind in _PARTS.items()
                }
                return cls(**parts, **{name: stored[name] for name in ("keys", "corners", "origin")})
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise NoWorldError(
                f"the simulated people cannot be read from {path}: {error}; build the world: rankway walks build"
            ) from error


_PARTS: dict[str, Any] = {"people": People, "truth": RouteTruth, "news": News, "weather": Weather}
