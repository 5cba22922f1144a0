"""``kind: redis``: a Redis or Valkey server, or a cluster of them."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.breaker import BreakerConfig
from services.stores.base import FeatureStore, StoreKind, StoreOptions, StoreWriter


class TlsConfig(BaseModel):
    """How this client verifies the server, and how it authenticates itself. Files are relative to the home.

    Attributes:
        ca_file: the trusted authorities' certificates. None trusts the system's authorities.
        cert_file: this client's certificate, if the server asks for one.
        key_file: the private key for ``cert_file``.
        check_hostname: whether the server's certificate must have the server's host name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file, key_file: only one of them is set; set both, or neither")
        return self


class RedisConfig(StoreOptions):
    """A Redis or Valkey server, or a cluster of them.

    Attributes:
        nodes: the servers, as host:port. For a cluster, some servers are enough, because they name the others.
        cluster: whether the servers are a cluster.
        prefix: comes before every key, so that several pipelines can share a server.
        username: the user to log in as.
        password_env: the environment variable with the password. The configuration never has the password itself.
        password_file: the file with the password, relative to the home.
        tls: how to connect with TLS. None connects without it.
        timeout_ms: the longest time that a batch waits for its rows.
        connect_timeout_ms: the time limit for a new connection. Requests do not wait for it.
        breaker: when a failing server is skipped, and for how long.
    """

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
            raise ValueError("password_env, password_file: both are set; keep one")
        if len(self.nodes) > 1 and not self.cluster:
            raise ValueError(
                f"nodes: must be one server, got {len(self.nodes)}; set cluster: true, or keep one"
            )
        if "{" in self.prefix:
            raise ValueError(
                f"prefix: must not have a brace, which would change the hash tag, got {self.prefix!r}; leave it out"
            )
        return self


def _open(config: RedisConfig, home: Path, readers: int) -> FeatureStore:
    from services.stores.redis.store import RedisStore

    return RedisStore(config, home, readers)


def _open_writer(config: RedisConfig, home: Path) -> StoreWriter:
    from services.stores.redis.writer import RedisWriter

    return RedisWriter(config, home)


def _check(config: RedisConfig, home: Path) -> None:
    from services.stores.redis.client import connection_options

    connection_options(config, home)


def _fault(config: RedisConfig, home: Path) -> str | None:
    from services.stores.redis.client import server_fault

    return server_fault(config, home)


def _any_key(config: RedisConfig, home: Path) -> bytes | None:
    from services.stores.redis.client import any_row_key

    return any_row_key(config, home)


STORE = StoreKind(
    config=RedisConfig,
    open=_open,
    open_writer=_open_writer,
    check=_check,
    fault=_fault,
    place=("prefix",),
    any_key=_any_key,
)
