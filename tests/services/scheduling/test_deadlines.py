"""The last moment before a deadline."""

import pytest

from services.scheduling.deadlines import last_moment_s
from services.scheduling.work import Work


@pytest.mark.parametrize(("left_s", "moment_s"), [(10.0, 9.95), (0.2, 0.15), (0.1, 0.075), (0.004, 0.003)])
def test_last_moment_is_50_ms_or_a_quarter_of_the_time_before_the_deadline(
    left_s: float, moment_s: float
) -> None:
    for arrived_s in (0.0, 1000.0):
        work = Work("w", 1, 1, arrived_s + left_s, 0, "a", arrived_s)
        assert last_moment_s(work) == pytest.approx(arrived_s + moment_s)


def test_request_without_a_deadline_has_no_last_moment() -> None:
    assert last_moment_s(Work("w", 1, 1, float("inf"), 0, "a", 0.0)) == float("inf")
