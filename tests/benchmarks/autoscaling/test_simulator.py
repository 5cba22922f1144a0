import pytest

from benchmarks.autoscaling.simulator import day, lines_of, one, queue, speed


def test_figures_come_of_every_part_and_are_told_as_text() -> None:
    queued = queue(1, 0.5, exponential=False, requests=40_000)
    assert queued["theory_ms"] == 15.0
    assert abs(queued["errors_apart"]) < 4
    sped = speed(one(2), 400, 2000, repeats=1)
    assert sped["events"] > 2 * 2000
    assert queue(4, 0.8, exponential=True, requests=10_000)["theory_ms"] == pytest.approx(17.455, abs=1e-3)
    lines = lines_of({"speed": {"one": sped}, "day": {}, "agreement": {}, "queues": {"M/D/1": queued}})
    assert any(line.startswith("  M/D/1") for line in lines)


@pytest.mark.slow
def test_a_day_under_a_shipped_policy() -> None:
    measured = day(one(60), "slo")
    assert measured["requests"] == pytest.approx(1e9, rel=0.01)
    assert measured["p99_ms"] < 40
