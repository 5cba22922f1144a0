"""``kind: lmdb``: an LMDB environment on this machine."""

from pathlib import Path
from typing import Literal

from services.stores.base import FeatureStore, StoreKind, StoreOptions, StoreWriter


class LmdbConfig(StoreOptions):
    """An LMDB environment on this machine.

    Attributes:
        path: the environment's folder, relative to the home.
    """

    kind: Literal["lmdb"] = "lmdb"
    path: str


def _open(config: LmdbConfig, home: Path, readers: int) -> FeatureStore:
    from services.stores.lmdb import LmdbStore

    return LmdbStore(home / config.path)


def _open_writer(config: LmdbConfig, home: Path) -> StoreWriter:
    from services.stores.lmdb_writer import LmdbWriter

    return LmdbWriter(home / config.path)


def _check(config: LmdbConfig, home: Path) -> None:
    _open(config, home, 1).close()


def _any_key(config: LmdbConfig, home: Path) -> bytes | None:
    from services.stores.lmdb import LmdbStore

    store = LmdbStore(home / config.path)
    try:
        # Row keys begin with a brace. Only the marks of loads have other keys.
        return next((key for key, _ in store.rows_after(b"{") if key.startswith(b"{")), None)
    finally:
        store.close()


STORE = StoreKind(
    config=LmdbConfig,
    open=_open,
    open_writer=_open_writer,
    check=_check,
    place=("path",),
    any_key=_any_key,
)
