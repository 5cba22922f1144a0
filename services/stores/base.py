"""Feature stores: user and real-time features by key, one round trip a batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class StoreOptions(BaseModel):
    """What the options of every store have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows in the order of the keys, None where there is none.

    unread: places of the keys that could not be asked for, in order; what is stored there is not known.
    """

    rows: list[bytes | None]
    unread: Sequence[int] = ()


class FeatureStore(Protocol):
    """Compact rows by key, read."""

    @property
    def waits(self) -> bool:
        """Whether a read waits for another process, and so has no place on the model thread."""
        ...

    @property
    def left_alone(self) -> int:
        """How many of its servers are not asked, as they failed lately."""
        ...

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one round trip; never raises, and never takes much longer than the time-out."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class StoreWriter(Protocol):
    """The same rows, written.

    A load is written in parts. The store keeps a mark for each part, so that it can say itself which parts it still
    has. A store that was emptied, replaced or reset to an earlier state lacks marks.
    """

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write the rows, replacing those that are there; give how many.

        Raises:
            StoreFailed: the store does not take them.
        """
        ...

    def begin_load(self) -> str:
        """Put the first mark of a load into the store; return the load's id.

        Raises:
            StoreFailed: the store does not take it.
        """
        ...

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        """Write part ``number`` of a load, counted from 1, and its mark; return the number of rows.

        Raises:
            StoreFailed: the store does not take them. StoreLost: it lacks the mark of an earlier part.
        """
        ...

    def holds_parts(self, load: str, count: int) -> bool:
        """Return whether the store has the marks of the first ``count`` parts of a load.

        Raises:
            StoreFailed: the store does not say.
        """
        ...

    def end_load(self, load: str) -> None:
        """Remove the marks of a load.

        Raises:
            StoreFailed: the store does not remove them, or no replica confirms what was written.
        """
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


Options = TypeVar("Options", bound=StoreOptions)


@dataclass(frozen=True, slots=True)
class StoreKind(Generic[Options]):
    """The descriptor of one kind of store. Its module imports no client library; the functions below do.

    config: the class of the options. open: opens the store for reading, by at most so many threads at once.
    open_writer: opens it for ``rankway features load``; None if other programs write it.
    check: raises ``ConfigError`` if it cannot be opened here, although a server need not be there yet. Without it a
    check opens the store and closes it.
    fault: tells what is wrong with its server, None if nothing is.
    place: the options that say where in the store the rows lie. A release that has other feature definitions than the
    configuration reads at the place that was recorded when it was staged.
    """

    config: type[Options]
    open: Callable[[Options, Path, int], FeatureStore]
    open_writer: Callable[[Options, Path], StoreWriter] | None = None
    check: Callable[[Options, Path], None] | None = None
    fault: Callable[[Options, Path], str | None] | None = None
    place: tuple[str, ...] = ()


AnyStoreKind = StoreKind[Any]
