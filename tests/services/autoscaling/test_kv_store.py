"""A policy's values in a key-value store in this process."""

import threading
from collections.abc import Mapping

from services.autoscaling.kv_store import FollowedWeights, KvStore, post_weights
from tests.services.autoscaling.keys import MemoryKeys


def test_reads_posted_value_by_name_and_pipeline() -> None:
    keys = MemoryKeys()
    store = KvStore("small", keys)
    store.post("state", b"one")
    store.post("state", b"two")
    store.close()
    assert KvStore("small", keys).read("state") == b"two"
    assert KvStore("other", keys).read("state") is None


def test_follower_gets_weights_at_start_and_after_each_change() -> None:
    keys, received, arrived = MemoryKeys(), list[Mapping[str, float]](), threading.Semaphore(0)

    def take(weights: Mapping[str, float]) -> None:
        received.append(weights)
        arrived.release()

    store = KvStore("small", keys)
    post_weights(store, "scorer", {"cpu": 1.0})
    assert keys.written.acquire(timeout=10)
    followed = FollowedWeights(KvStore("small", keys), "scorer", take, period_s=0.01)
    assert arrived.acquire(timeout=10)
    keys.is_away = True
    post_weights(store, "scorer", {"cpu": 0.25, "gpu": 0.75})
    assert keys.written.acquire(timeout=10)
    keys.is_away = False
    assert arrived.acquire(timeout=10)
    followed.close()
    store.close()
    assert received == [{"cpu": 1.0}, {"cpu": 0.25, "gpu": 0.75}]
