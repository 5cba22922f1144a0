"""The wait for replicas that were requested."""

from autoscale.policies.signals.overdue import Awaited, awaited, patience_s
from tests.autoscale.policies.pipelines import seen


def test_wait_begins_with_the_first_missing_replica_and_ends_with_the_last() -> None:
    wait = awaited(None, 10.0, seen(3, ready=1))
    assert wait == Awaited(10.0, 1)
    assert awaited(wait, 15.0, seen(9, ready=1)) == Awaited(10.0, 1)
    assert awaited(wait, 15.0, seen(3, ready=3)) is None
    assert awaited(wait, 15.0, seen(1, ready=2)) is None  # fewer are wanted now, and one is being removed


def test_wait_begins_again_if_a_replica_comes_but_not_if_one_is_lost() -> None:
    wait = awaited(Awaited(10.0, 1), 20.0, seen(3, ready=2))
    assert wait == Awaited(20.0, 2)
    assert awaited(wait, 30.0, seen(3, ready=0)) == Awaited(20.0, 0)


def test_slow_nodes_are_awaited_longer() -> None:
    assert patience_s(5.0) == 30.0
    assert patience_s(150.0) == 300.0
