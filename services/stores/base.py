"""Feature stores: user and real-time features by key, one round trip a batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.breaker import BreakerConfig


class LmdbConfig(BaseModel):
    """An LMDB environment on this machine. path is relative to the home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lmdb"] = "lmdb"
    path: str


class TlsConfig(BaseModel):
    """How a server is trusted, and how this client shows who it is. Files are relative to the home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both, or neither")
        return self


class RedisConfig(BaseModel):
    """A Redis or Valkey server, or a cluster of them.

    nodes: host:port; of a cluster any that are known, the others are found through them.
    prefix: before every key, so that pipelines may share a server.
    password_env, password_file: where the password is; it stands in no configuration.
    timeout_ms: what a batch waits at most. connect_timeout_ms: what a connection may take, beside the requests.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["redis"]
    nodes: tuple[Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\s]+):[0-9]{1,5}$")], ...] = Field(
        default=("127.0.0.1:6379",), min_length=1
    )
    cluster: bool = False
    prefix: str = "rankway:"
    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    tls: TlsConfig | None = None
    timeout_ms: float = Field(default=10.0, gt=0, le=60_000)
    connect_timeout_ms: float = Field(default=1000.0, gt=0, le=60_000)
    breaker: BreakerConfig = BreakerConfig()

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env and password_file are both given: keep one")
        if len(self.nodes) > 1 and not self.cluster:
            raise ValueError(f"nodes names {len(self.nodes)} servers: set cluster: true, or keep one")
        if "{" in self.prefix:
            raise ValueError("prefix holds a brace, which would take the hash tag's place: leave it out")
        return self


StoreConfig = Annotated[LmdbConfig | RedisConfig, Field(discriminator="kind")]


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
