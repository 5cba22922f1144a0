"""A small synthetic event log, whose users choose items mostly in a fixed cycle."""

import numpy as np

from models.datasets.events import EventLog

USERS, ITEMS, STEPS = 40, 30, 25


def make_log(*, repeats: bool = False, seed: int = 0) -> EventLog:
    """Return a log in which item i is mostly followed by i + 1.

    Some events have the same time.
    """
    random = np.random.default_rng(seed)
    users, items, times = [], [], []
    for user in range(USERS):
        item = int(random.integers(ITEMS))
        at_s = 1e9 + float(random.integers(100_000))
        chosen: set[int] = set()
        for _ in range(STEPS):
            item = (item + 1) % ITEMS if random.random() < 0.8 else int(random.integers(ITEMS))
            at_s += float(random.integers(3)) * 600.0
            if repeats or item not in chosen:
                chosen.add(item)
                users.append(f"u{user}")
                items.append(f"i{item:02}")
                times.append(at_s)
    values = random.integers(1, 6, len(users)).astype(float).tolist()
    known = sorted(set(items))
    colour = np.eye(2, dtype=np.float32)[[int(item[1:]) % 2 for item in known]]
    return EventLog.from_ids(
        "small", users, items, times, values, item_columns={"colour": colour}, repeats=repeats
    )
