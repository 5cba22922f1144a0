"""Loads the feature store with the simulated users as they stand after the last day."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.rows import UserRowCodec, row_key
from services.stores.lmdb import LmdbStore
from walks.datasets import rating_events
from walks.features import FEATURES
from walks.simulate import Log


def user_id(number: int) -> str:
    """Public id of a simulated user, counted from one: u-000001."""
    return f"u-{number + 1:06d}"


def user_rows(
    log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], start_s: float
) -> Iterator[tuple[bytes, bytes]]:
    """(key, encoded row) of every user; profile (U, P), item keys (R,) by route number."""
    codec = UserRowCodec(FEATURES)
    events = rating_events(log, keys, start_s, len(profile))
    records = events.records(codec.event_types["rating"])
    for user in range(len(profile)):
        past = records[events.offsets[user] : events.offsets[user + 1]]
        row = codec.encode({"profile": profile[user]}, events={"rating": past})
        yield row_key(codec.group, user_id(user).encode()), row


def write_users(
    root: Path, log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], start_s: float
) -> int:
    """Write the rows of all users into an LMDB store at `root`; give how many."""
    store = LmdbStore(root, readonly=False)
    try:
        return store.write_many(user_rows(log, profile, keys, start_s))
    finally:
        store.close()
