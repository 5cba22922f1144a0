"""The registry entry of an architecture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from models.architectures.base import Architecture

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ArchitectureKind(Generic[Options]):
    """The registry entry of an architecture.

    Attributes:
        config: class of the options. An artifact stores the options.
        build: builds the module with random weights.
    """

    config: type[Options]
    build: "Callable[[Options], Architecture]"
