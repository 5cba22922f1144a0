"""Turns: one process of a machine after another, and none for ever."""

import os

from services.locks import one_at_a_time


def test_a_turn_is_had_by_one_and_waited_for_no_longer_than_the_limit() -> None:
    name = f"test-{os.getpid()}"
    with one_at_a_time(name, 0.0) as first:
        assert first
        with one_at_a_time(name, 0.05) as second:
            assert not second
    with one_at_a_time(name, 0.0) as third:
        assert third
