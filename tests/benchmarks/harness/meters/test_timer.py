import select
import time

from benchmarks.harness.meters.timer import FineTimer


def readable(timer: FineTimer, within_s: float) -> bool:
    return bool(select.select([timer.fd], [], [], within_s)[0])


def test_timer_in_the_past_fires_at_once() -> None:
    timer = FineTimer()
    try:
        timer.set(time.perf_counter() - 1)
        assert readable(timer, 1.0)
        timer.clear()
        assert not readable(timer, 0.0)
    finally:
        timer.close()


def test_timer_never_fires_early() -> None:
    timer = FineTimer()
    try:
        due_s = time.perf_counter() + 0.01
        timer.set(due_s)
        assert readable(timer, 5.0)
        assert time.perf_counter() >= due_s
    finally:
        timer.close()


def test_timer_that_has_not_fired_can_be_cleared() -> None:
    timer = FineTimer()
    timer.clear()
    timer.close()
