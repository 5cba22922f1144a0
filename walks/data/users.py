"""Writes the simulated users into the feature store, in their state after the last day."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.rows import UserRowCodec, row_key
from services.stores.lmdb import LmdbStore
from walks.data.event_tables import Tables
from walks.data.features import FEATURES


def user_id(number: int) -> str:
    """Return a simulated user's public id, counted from one: u-000001."""
    return f"u-{number + 1:06d}"


def user_rows(profile: NDArray[np.float32], tables: Tables) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, encoded row) for every user and feature group. `profile` is (U, P)."""
    for codec in (UserRowCodec(FEATURES, "user"), UserRowCodec(FEATURES, "realtime")):
        records = {event: tables[event].records(dtype) for event, dtype in codec.events.types.items()}
        for user in range(len(profile)):
            past = {
                event: rows[slice(*tables[event].offsets[user : user + 2])] for event, rows in records.items()
            }
            fixed = {"profile": profile[user]} if codec.group == "user" else {}
            yield row_key(codec.group, user_id(user).encode()), codec.encode(fixed, events=past)


def write_users(root: Path, profile: NDArray[np.float32], tables: Tables) -> int:
    """Write all users' rows into an LMDB store at `root`, and return the row count."""
    store = LmdbStore(root, readonly=False)
    try:
        return store.write_many(user_rows(profile, tables))
    finally:
        store.close()
