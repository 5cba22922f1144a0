import pytest

from benchmarks.autoscaling.simulator import day, lines_of, one, queue, speed


def test_measures_every_part_and_formats_it_as_text() -> None:
    queue_figures = queue(1, 0.5, exponential=False, requests=40_000)
    assert queue_figures["theory_ms"] == 15.0
    assert abs(queue_figures["errors_apart"]) < 4
    speed_figures = speed(one(2), 400, 2000, repeats=1)
    assert speed_figures["events"] > 2 * 2000
    assert queue(4, 0.8, exponential=True, requests=10_000)["theory_ms"] == pytest.approx(17.455, abs=1e-3)
    lines = lines_of(
        {"speed": {"one": speed_figures}, "day": {}, "agreement": {}, "queues": {"M/D/1": queue_figures}}
    )
    assert any(line.startswith("  M/D/1") for line in lines)


@pytest.mark.slow
def test_simulates_a_day_under_a_shipped_policy() -> None:
    measured = day(one(60), "slo")
    assert measured["requests"] == pytest.approx(1e9, rel=0.01)
    assert measured["p99_ms"] < 40
