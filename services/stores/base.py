"""Feature stores: user and real-time features by key, one round trip a batch."""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict


class StoreConfig(BaseModel):
    """Where user features are kept. path is relative to the home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lmdb"] = "lmdb"
    path: str


class FeatureStore(Protocol):
    """Compact rows by user id."""

    def read_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Give the rows in the order of the keys, None where there is none."""
        ...

    def write_many(self, rows: Iterable[tuple[bytes, bytes]]) -> int:
        """Write the rows, replacing those that are there; give how many."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
