"""The cache of encoded histories stays within its memory budget."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.stages.scoring.history_cache import LruBytes


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 200), st.booleans()), max_size=60))
@settings(deadline=None)
def test_entries_stay_within_the_limit_and_the_least_recently_used_is_evicted(
    steps: list[tuple[int, int, bool]],
) -> None:
    held = LruBytes(3000)
    model: dict[bytes, int] = {}
    for name, size, puts in steps:
        key = b"%d" % name
        if puts:
            evicted = held.put(key, np.zeros(size))
            model.pop(key, None)
            model[key] = 8 * size + 300
            gone = 0
            while sum(model.values()) > 3000:
                del model[next(iter(model))]
                gone += 1
            assert evicted == gone
        else:
            entry = held.get(key)
            assert (entry is not None) == (key in model)
            if entry is not None:
                model[key] = model.pop(key)
        assert (len(held), held.held_bytes) == (len(model), sum(model.values()))


def test_entries_and_bytes_agree_after_concurrent_use() -> None:
    cache = LruBytes(20_000)
    evicted = []

    def use(thread: int) -> None:
        random = np.random.default_rng(thread)
        for _ in range(400):
            key = b"%d" % random.integers(60)
            if cache.get(key) is None:
                evicted.append(cache.put(key, np.zeros(random.integers(1, 200), dtype=np.float32)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    remaining = [entry for key in range(60) if (entry := cache.get(b"%d" % key)) is not None]
    assert cache.held_bytes == sum(entry.nbytes + 300 for entry in remaining) <= 20_000
    assert len(cache) == len(remaining)
