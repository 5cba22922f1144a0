"""Loads the feature store with the simulated users as they stand after the last day."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.rows import UserRowCodec
from models.ragged import RaggedArray
from services.stores.lmdb import LmdbStore
from walks.datasets import histories
from walks.features import FEATURES
from walks.simulate import Log


def user_id(number: int) -> str:
    """Public id of a simulated user, counted from one: u-000001."""
    return f"u-{number + 1:06d}"


def user_rows(
    log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], now_s: float
) -> Iterator[tuple[bytes, bytes]]:
    """(id, encoded row) of every user; profile (U, P), item keys (R,) by route number."""
    codec = UserRowCodec(FEATURES)
    columns = histories(log, keys, np.arange(len(profile)), np.full(len(profile), now_s))
    for user in range(len(profile)):
        past = {
            name.removeprefix("user."): c[user] for name, c in columns.items() if isinstance(c, RaggedArray)
        }
        yield user_id(user).encode(), codec.encode({"profile": profile[user], **past})


def write_users(
    root: Path, log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], now_s: float
) -> int:
    """Write the rows of all users into an LMDB store at `root`; give how many."""
    store = LmdbStore(root, readonly=False)
    try:
        return store.write_many(user_rows(log, profile, keys, now_s))
    finally:
        store.close()
