from collections.abc import Sequence

import pytest

from services.stores.base import Reading
from services.stores.guarded import GuardedStore


class Scripted:
    """A store from another package. It returns the given answer, or raises it if it is an error."""

    waits = True
    left_alone = 2

    def __init__(self, answer: Reading | Exception | None) -> None:
        self._answer = answer
        self.is_closed = False

    def read_many(self, keys: Sequence[bytes]) -> Reading:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[return-value]  # it may be wrong

    def close(self) -> None:
        self.is_closed = True


def test_returns_a_valid_reading_unchanged() -> None:
    inner, reading = Scripted(None), Reading([b"a", None], (1,))
    inner._answer = reading
    store = GuardedStore(inner)
    assert store.read_many([b"x", b"y"]) is reading
    assert (store.waits, store.left_alone) == (True, 2)
    store.close()
    assert inner.is_closed


@pytest.mark.parametrize(
    "answer", [OSError("away"), Reading([b"a"]), Reading([None, None], (2,)), None], ids=repr
)
def test_all_keys_are_unread_after_an_error_or_an_invalid_reading(answer: Reading | Exception | None) -> None:
    reading = GuardedStore(Scripted(answer)).read_many([b"x", b"y"])
    assert (reading.rows, list(reading.unread)) == ([None, None], [0, 1])
