"""The region that a catalogue's items cover. A position with longitude and latitude swapped lies far outside."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from models.features.definition import FeatureSet
from services.errors import Unprocessable

POSITION = "position"
"""The context feature with the caller's latitude and longitude in degrees."""
_POLE = 90.0
_MARGIN = 1.0
"""How far outside the items a position may be without any check, in degrees. One degree of latitude is 111 km."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The items' region in degrees, with a margin around it."""

    south: float
    north: float
    west: float
    east: float

    @classmethod
    def of(cls, positions: NDArray[Any]) -> "Extent":
        """Return the extent of latitudes and longitudes (items, 2)."""
        latitudes, longitudes = positions[:, 0], positions[:, 1]  # much faster than both at once
        return cls(
            south=float(latitudes.min()) - _MARGIN,
            north=float(latitudes.max()) + _MARGIN,
            west=float(longitudes.min()) - _MARGIN,
            east=float(longitudes.max()) + _MARGIN,
        )

    @property
    def tells_swapped(self) -> bool:
        """Whether a swapped position always lies outside. In a region such as the whole world many lie inside.

        A position that lies outside such a region, but inside if it is swapped, is probably not swapped.
        """
        return self.north < self.west or self.east < self.south

    def refuse_swapped(self, latitude: float, longitude: float) -> None:
        """Refuse a position that lies outside, if it lies inside with its two numbers swapped.

        In a region with positions that stay inside when they are swapped, only an impossible latitude is refused.

        Raises:
            Unprocessable: the position is swapped.
        """
        if self.south <= latitude <= self.north and self.west <= longitude <= self.east:
            return
        if not self.tells_swapped and abs(latitude) <= _POLE:
            return
        if self.south <= longitude <= self.north and self.west <= latitude <= self.east:
            raise Unprocessable(
                f"must be [latitude, longitude] near the items, got [{latitude:g}, {longitude:g}], which is far from "
                f"all; did you mean [{longitude:g}, {latitude:g}]?",
                field=f"context.{POSITION}",
            )


def has_position(definitions: FeatureSet) -> bool:
    """Return whether requests can have a position."""
    return any(f.name == POSITION and f.shape == (2,) for f in definitions.group("context"))
