"""Options of the measured models, as plain dataclasses.

They have the fields of ``models.architectures.options``, whose classes need pydantic. A test compares the fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """A scalar feature and its encoding."""

    name: str
    encoding: str = "linear"
    period: float = 0.0
    harmonics: int = 2

    @property
    def width(self) -> int:
        """Number of network inputs for the feature."""
        return 2 * self.harmonics if self.encoding == "cyclic" else 1


@dataclass(frozen=True)
class Distance:
    """A distance from a request position to an item position."""

    origin: str
    place: str


@dataclass(frozen=True)
class RankerOptions:
    """The options of a history ranker."""

    width: int
    heads: int
    layers: int
    hidden: int
    items: Mapping[str, tuple[int, ...]]
    number: tuple[str, int] | None = None
    request: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    history: str = "history"
    history_values: tuple[Column, ...] = ()
    context: tuple[Column, ...] = ()
    profile: tuple[str, tuple[int, ...]] | None = None
    cells: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    distances: tuple[Distance, ...] = ()
    name: str = "history_ranker"
    repeats: bool = False
    dropout: float = 0.0
    linears: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DlrmOptions:
    """The options of a DLRM."""

    rows: int
    dense: int = 13
    fields: int = 26
    width: int = 64
    bottom: tuple[int, ...] = (256,)
    top: tuple[int, ...] = (256, 128, 64)
    name: str = "dlrm"
    dense_per_request: bool = False
    linears: Mapping[str, Any] = field(default_factory=dict)
