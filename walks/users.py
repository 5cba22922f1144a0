"""Writes the user rows as they stand after the last simulated day."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features.rows import UserRowCodec
from models.ragged import RaggedArray, offsets_of
from walks.datasets import histories
from walks.features import FEATURES
from walks.simulate import Log


def user_id(number: int) -> str:
    """Public id of a simulated user, counted from one: u-000001."""
    return f"u-{number + 1:06d}"


def user_rows(
    log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], now_s: float
) -> list[tuple[str, bytes]]:
    """(id, encoded row) of every user."""
    codec = UserRowCodec(FEATURES)
    users = np.arange(len(profile))
    columns = histories(log, keys, users, np.full(len(users), now_s))
    rows = []
    for user in users:
        values = {
            name.removeprefix("user."): c[user] for name, c in columns.items() if isinstance(c, RaggedArray)
        }
        rows.append((user_id(int(user)), codec.encode({"profile": profile[user], **values})))
    return rows


def write_users(
    root: Path, log: Log, profile: NDArray[np.float32], keys: NDArray[np.int64], now_s: float
) -> None:
    """Write the rows of all users."""
    rows = user_rows(log, profile, keys, now_s)
    root.mkdir(parents=True)
    np.save(root / "ids.npy", np.array([name.encode() for name, _ in rows]))
    np.save(root / "rows.npy", np.frombuffer(b"".join(row for _, row in rows), dtype=np.uint8))
    np.save(root / "offsets.npy", offsets_of(np.array([len(row) for _, row in rows])))
