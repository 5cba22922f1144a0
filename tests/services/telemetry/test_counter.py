"""A labelled counter is exported once as a sum, regardless of the threads that add and flush."""

import threading

from services.telemetry.counter import LabelledCount
from tests.services.ray_metrics import Exported

NAME = "rankway_lookups_total"


def lookups() -> LabelledCount:
    return LabelledCount(NAME, "Look-ups.", {"pipeline": "small", "replica": "r1"}, "result")


def test_sums_are_exported_once_per_label_value(exported: Exported) -> None:
    count = lookups()
    count.flush()
    count.add("hit")
    count.add("evicted", 3)
    count.add("hit")
    assert exported.series == {}
    count.flush()
    count.flush()
    tags = 'pipeline="small", replica="r1"'
    assert exported.series[NAME] == {f'{tags}, result="hit"': 2, f'{tags}, result="evicted"': 3}


def test_loses_no_notes_made_during_a_flush(exported: Exported) -> None:
    count = lookups()

    def note() -> None:
        for _ in range(5000):
            count.add("hit")

    threads = [threading.Thread(target=note) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        count.flush()
    count.flush()
    assert exported.value(NAME) == 10_000
