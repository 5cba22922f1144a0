"""The interface of feature stores: user and real-time features by key, with one round trip for each batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class StoreOptions(BaseModel):
    """The options that every kind of store has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows that were read for some keys.

    Attributes:
        rows: a row for each key, in the same order. None if the key has no row, or was not read.
        unread: the indices of keys that could not be read, ascending. It is unknown whether these keys have rows.
    """

    rows: list[bytes | None]
    unread: Sequence[int] = ()


class FeatureStore(Protocol):
    """Reads rows by key. A row has one user's features in a compact form."""

    @property
    def waits(self) -> bool:
        """Whether a read waits for another process. Then it must not run on the model thread."""
        ...

    @property
    def left_alone(self) -> int:
        """The number of servers that are skipped because they have failed."""
        ...

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one round trip. The call never raises, and never takes much longer than the time-out."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...


class StoreWriter(Protocol):
    """Writes rows by key.

    A load is written in parts. The store keeps a mark for each part. The mark shows later whether the store still has
    the part. A store that was emptied, replaced or reset to an earlier state lacks marks.
    """

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write pairs of a key and a row, and replace rows that exist. Return the row count.

        Raises:
            StoreFailed: the rows cannot be written.
        """
        ...

    def begin_load(self) -> str:
        """Write a load's first mark into the store. Return the id of the load.

        Raises:
            StoreFailed: the mark cannot be written.
        """
        ...

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        """Write a part of a load, and the part's mark. Return the row count.

        Args:
            load: the id that ``begin_load`` returned.
            number: the part number, counted from 1.
            rows: pairs of a key and a row.

        Raises:
            StoreFailed: the part cannot be written.
            StoreLost: the store lacks an earlier part's mark.
        """
        ...

    def holds_parts(self, load: str, count: int) -> bool:
        """Return whether the store has marks for a load's first ``count`` parts.

        Raises:
            StoreFailed: the marks cannot be read.
        """
        ...

    def end_load(self, load: str) -> None:
        """Remove a load's marks.

        Raises:
            StoreFailed: the marks cannot be removed, or no replica confirms that it has the rows.
        """
        ...

    def close(self) -> None:
        """Close the store."""
        ...


Options = TypeVar("Options", bound=StoreOptions)


@dataclass(frozen=True, slots=True)
class StoreKind(Generic[Options]):
    """Describes one kind of store. The module that defines it imports no client library. Only the functions below do.

    Attributes:
        config: the options class.
        open: opens the store for reading. The arguments are the options, the home and the number of reading threads.
        open_writer: opens the store for ``rankway features load``. None if only other programs can write to it.
        check: raises ``ConfigError`` if the store cannot be opened here. A server does not need to run yet. With None,
            the check opens and closes the store.
        fault: returns a text about the server's fault, or None if it has no fault.
        place: the names of options that locate the rows within the store. If a release and the configuration have
            different feature definitions, the release uses the values that were recorded when it was staged.
        any_key: returns the key of any row in the store, or None if it finds none at once. ``rankway serve`` shows a
            request for its user.
    """

    config: type[Options]
    open: Callable[[Options, Path, int], FeatureStore]
    open_writer: Callable[[Options, Path], StoreWriter] | None = None
    check: Callable[[Options, Path], None] | None = None
    fault: Callable[[Options, Path], str | None] | None = None
    place: tuple[str, ...] = ()
    any_key: Callable[[Options, Path], bytes | None] | None = None


AnyStoreKind = StoreKind[Any]
