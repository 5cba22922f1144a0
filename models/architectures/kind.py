"""The descriptor that each architecture registers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from models.architectures.base import Architecture

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ArchitectureKind(Generic[Options]):
    """The descriptor of one architecture.

    Attributes:
        config: the class of the options, which an artifact stores.
        build: builds the module with random weights.
    """

    config: type[Options]
    build: "Callable[[Options], Architecture]"
