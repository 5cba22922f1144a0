"""The cache of token ids keeps the texts that were requested last."""

import numpy as np

from benchmarks.bert.cache import TokenCache


def test_forgets_the_text_that_was_not_requested_for_longest() -> None:
    cache = TokenCache(2)
    one, two, three = (np.array([number], np.int32) for number in (1, 2, 3))
    cache.add(one, 0.1)
    cache.add(two, 0.2)

    assert one in cache
    cache.add(three, 0.3)

    assert two not in cache
    assert one in cache
    assert three in cache
    assert (cache.hits, cache.asked) == (3, 4)
