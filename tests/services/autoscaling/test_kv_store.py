"""The board over a store in this process."""

import threading
from collections.abc import Mapping

import pytest

from services.autoscaling.kv_store import Board, FollowedWeights, post_weights


class Store:
    """What Ray's store does, as far as it is used."""

    def __init__(self) -> None:
        self.notes: dict[bytes, bytes] = {}
        self.is_away = False
        self.written = threading.Semaphore(0)

    def get(self, key: bytes, *, namespace: bytes) -> bytes | None:
        if self.is_away:
            raise ConnectionError("the store is away")
        return self.notes.get(key)

    def put(self, key: bytes, note: bytes, overwrite: bool, *, namespace: bytes) -> bool:
        assert overwrite
        self.notes[key] = note
        self.written.release()
        return True


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr("services.autoscaling.kv_store._internal_kv_get", store.get)
    monkeypatch.setattr("services.autoscaling.kv_store._internal_kv_put", store.put)
    monkeypatch.setattr("services.autoscaling.kv_store._PERIOD_S", 0.01)
    return store


def test_what_is_posted_is_read_by_its_name_and_pipeline(store: Store) -> None:
    board = Board("small")
    board.post("state", b"one")
    board.post("state", b"two")
    board.close()
    assert Board("small").read("state") == b"two"
    assert Board("other").read("state") is None


def test_weights_reach_whoever_follows_them_each_time_they_change_and_when_it_starts(store: Store) -> None:
    taken: list[Mapping[str, float]] = []
    came = threading.Semaphore(0)

    def take(weights: Mapping[str, float]) -> None:
        taken.append(weights)
        came.release()

    board = Board("small")
    post_weights(board, "scorer", {"cpu": 1.0})
    assert store.written.acquire(timeout=10)
    followed = FollowedWeights(Board("small"), "scorer", take)
    assert came.acquire(timeout=10)
    store.is_away = True
    post_weights(board, "scorer", {"cpu": 0.25, "gpu": 0.75})
    assert store.written.acquire(timeout=10)
    store.is_away = False
    assert came.acquire(timeout=10)
    followed.close()
    board.close()
    assert taken == [{"cpu": 1.0}, {"cpu": 0.25, "gpu": 0.75}]
