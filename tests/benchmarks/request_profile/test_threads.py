import os
from pathlib import Path

import pytest

from benchmarks.request_profile.threads import (
    LOOP,
    MODEL,
    REST,
    Thread,
    read_threads,
    roles,
    used_by_process_s,
    used_s,
)


def test_a_threads_cpu_grows_with_its_work() -> None:
    before = read_threads([os.getpid()])
    sum(range(1_000_000))
    after = read_threads([os.getpid()])
    assert used_s(before, after)[os.getpid()] > 0


def test_a_thread_with_a_bracket_in_its_name_is_read(tmp_path: Path) -> None:
    task = tmp_path / "7" / "task" / "9"
    task.mkdir(parents=True)
    (task / "stat").write_text("9 (a) b) S " + " ".join(str(number) for number in range(4, 53)))
    (task / "schedstat").write_text("1500000000 20 30\n")
    assert read_threads([7], tmp_path) == {9: Thread(7, started=22, cpu_s=1.5)}


def test_the_oldest_busy_thread_of_each_replica_is_its_event_loop() -> None:
    before = {
        tid: Thread(pid, started, 0.0) for tid, pid, started in ((1, 1, 5), (2, 1, 6), (3, 1, 9), (4, 2, 7))
    }
    spent_s = {
        1: 0.4,  # a main thread is never an event loop
        2: 0.2,
        3: 0.9,
        4: 0.3,
        5: 0.8,
    }
    after = {tid: thread._replace(cpu_s=spent_s[tid]) for tid, thread in before.items()}
    after[5] = Thread(2, 8, spent_s[5])  # began between the readings
    assert roles(before, after) == {1: REST, 2: LOOP, 3: MODEL, 4: LOOP, 5: MODEL}
    assert used_s(before, after) == pytest.approx(spent_s)
    assert used_by_process_s(before, after) == pytest.approx({1: 1.5, 2: 1.1})
