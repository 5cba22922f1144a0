"""A periodic thread runs its task until it is closed, whatever the task raises."""

import gc
import threading
import weakref
from typing import Any

import pytest

from services.periodic import PeriodicThread

LIMIT_S = 30.0
NEVER_S = 3600.0


class Task:
    """Counts its runs, and may fail in some of them."""

    def __init__(self, *failing: int) -> None:
        self.runs, self._failing = 0, failing
        self.ran = threading.Semaphore(0)

    def __call__(self) -> None:
        self.runs += 1
        self.ran.release()
        if self.runs in self._failing:
            raise RuntimeError(f"run {self.runs}")


def started(task: Any, period_s: float, **options: bool) -> PeriodicThread:
    thread = PeriodicThread(task, period_s, name="test", failure="the task failed", **options)
    thread.start()
    return thread


def test_task_repeats_until_the_thread_is_closed() -> None:
    task = Task()
    thread = started(task, 0.001)
    for _ in range(3):
        assert task.ran.acquire(timeout=LIMIT_S)
    assert thread.close()
    runs = task.runs
    assert thread.is_stopping
    assert task.runs == runs


def test_logs_an_error_and_continues_with_the_next_run(caplog: pytest.LogCaptureFixture) -> None:
    task = Task(1)
    thread = started(task, 0.001)
    for _ in range(2):
        assert task.ran.acquire(timeout=LIMIT_S)
    assert thread.close()
    assert "the task failed" in caplog.text
    assert "run 1" in caplog.text


@pytest.mark.parametrize(
    ("at_start", "at_close", "runs"), [(False, False, 0), (True, False, 1), (False, True, 1), (True, True, 2)]
)
def test_close_does_not_wait_for_the_period(at_start: bool, at_close: bool, runs: int) -> None:
    task = Task()
    thread = started(task, NEVER_S, at_start=at_start, at_close=at_close)
    assert thread.close(LIMIT_S)
    assert task.runs == runs


def test_close_does_not_raise_the_error_of_the_last_run() -> None:
    thread = started(Task(1), NEVER_S, at_close=True)
    assert thread.close(LIMIT_S)


def test_task_can_detect_its_last_run() -> None:
    seen: list[bool] = []
    thread = PeriodicThread(
        lambda: seen.append(thread.is_stopping), NEVER_S, name="test", failure="", at_close=True
    )
    thread.start()
    thread.close()
    assert seen == [True]


def test_close_waits_for_a_hanging_task_up_to_the_limit() -> None:
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        assert release.wait(LIMIT_S)

    thread = started(hang, NEVER_S, at_start=True)
    assert entered.wait(LIMIT_S)
    assert not thread.close(0.01)
    release.set()
    assert thread.close()


def test_unstarted_thread_can_be_stopped_and_closed_twice() -> None:
    thread = PeriodicThread(Task(), NEVER_S, name="test", failure="")
    thread.stop()
    assert thread.close()
    assert thread.close()


def test_closed_thread_frees_its_owner_without_the_garbage_collector() -> None:
    class Owner:
        def __init__(self) -> None:
            self.thread = started(self.work, NEVER_S)

        def work(self) -> None: ...

    owner = Owner()
    gone = weakref.ref(owner)
    gc.disable()
    try:
        owner.thread.close()
        del owner
        assert gone() is None
    finally:
        gc.enable()
