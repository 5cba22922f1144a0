"""The interface of feature stores: user and real-time features by key, with one round trip for each batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class StoreOptions(BaseModel):
    """The options that every kind of store has.

    Attributes:
        kind: the name of the kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading some keys.

    Attributes:
        rows: a row for each key, in the order of the keys. None if the key has no row, or was not read.
        unread: the indices of the keys that could not be read, in order. It is unknown whether these have rows.
    """

    rows: list[bytes | None]
    unread: Sequence[int] = ()


class FeatureStore(Protocol):
    """Reads rows by key. A row has the features of one user in a compact form."""

    @property
    def waits(self) -> bool:
        """Whether a read waits for another process. Then it must not run on the model thread."""
        ...

    @property
    def left_alone(self) -> int:
        """The number of its servers that are skipped because they have failed."""
        ...

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        """Read all keys in one round trip. It never raises, and never takes much longer than the time-out."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...


class StoreWriter(Protocol):
    """Writes rows by key.

    A load is written in parts. The store keeps a mark for each part, which shows later whether it still has the part. A
    store that was emptied, replaced or reset to an earlier state lacks marks.
    """

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write pairs of a key and a row, and replace rows that exist. Return the number of rows.

        Raises:
            StoreFailed: the rows cannot be written.
        """
        ...

    def begin_load(self) -> str:
        """Write the first mark of a load into the store. Return the id of the load.

        Raises:
            StoreFailed: the mark cannot be written.
        """
        ...

    def write_part(self, load: str, number: int, rows: Sequence[tuple[bytes, bytes]]) -> int:
        """Write a part of a load and its mark. Return the number of rows.

        Args:
            load: the id of the load.
            number: the number of the part, counted from 1.
            rows: pairs of a key and a row.

        Raises:
            StoreFailed: the part cannot be written.
            StoreLost: the store lacks the mark of an earlier part.
        """
        ...

    def holds_parts(self, load: str, count: int) -> bool:
        """Return whether the store has the marks of the first ``count`` parts of a load.

        Raises:
            StoreFailed: the marks cannot be read.
        """
        ...

    def end_load(self, load: str) -> None:
        """Remove the marks of a load.

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
    """The descriptor of one kind of store. Its module imports no client library. Only the functions below do.

    Attributes:
        config: the class of the options.
        open: opens the store for reading. Its arguments are the options, the home and the number of reading threads.
        open_writer: opens the store for ``rankway features load``. None if only other programs can write it.
        check: raises ``ConfigError`` if the store cannot be opened here. A server does not need to run yet. None checks
            by opening and closing the store.
        fault: returns a text about a fault of the server, or None if it has no fault.
        place: the names of the options that locate the rows within the store. If the feature definitions of a release
            and of the configuration differ, the release uses the values that were recorded when it was staged.
    """

    config: type[Options]
    open: Callable[[Options, Path, int], FeatureStore]
    open_writer: Callable[[Options, Path], StoreWriter] | None = None
    check: Callable[[Options, Path], None] | None = None
    fault: Callable[[Options, Path], str | None] | None = None
    place: tuple[str, ...] = ()


AnyStoreKind = StoreKind[Any]
