"""The cache of encoded histories stays within its memory budget."""

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
