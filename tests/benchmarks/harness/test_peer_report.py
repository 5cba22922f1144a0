import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.answers import Batches
from benchmarks.harness.cells import Cell
from benchmarks.harness.peer_report import Compared, as_json, as_text, goals, place_of, ratio_of
from benchmarks.harness.results import LoadResult

RATES = st.lists(st.floats(1.0, 1e5), min_size=1, max_size=9)


def cell(rps: float, p50_ms: float = 1.0, failed: int = 0) -> Cell:
    statuses = {"200": 100, "503": failed} if failed else {"200": 100}
    result = LoadResult("client", "closed", 10, None, 5.0, 100, rps, p50_ms, 2.0, 3.0, statuses)
    return Cell(result, {"replica": 1.0, "haproxy": 0.5}, Batches({2: 5}, {}, 0.0, 0), 0.0)


def compared(own: list[float], others: dict[str, list[float]], clients: int = 10) -> Compared:
    report = Compared("dlrm", "rankway")
    for side, values in {"rankway": own, **others}.items():
        report.about[side] = side
        for rps in values:
            report.add(side, clients, cell(rps))
    return report


def test_intervals_that_touch_overlap() -> None:
    assert place_of([3.0, 4.0], [1.0, 2.9]) == "ahead"
    assert place_of([3.0, 4.0], [1.0, 3.0]) == "overlap"
    assert place_of([1.0, 2.0], [2.1, 9.0]) == "behind"


@given(RATES, RATES)
def test_one_side_is_ahead_exactly_if_the_other_is_behind(own: list[float], other: list[float]) -> None:
    swapped = {"ahead": "behind", "behind": "ahead", "overlap": "overlap"}
    assert place_of(other, own) == swapped[place_of(own, other)]


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    # The machine slows down, and both sides with it.
    assert ratio_of([100.0, 50.0, 20.0], [200.0, 100.0, 40.0]) == 0.5
    assert ratio_of([10.0, 30.0, 20.0], [10.0, 10.0, 40.0]) == 1.0


def test_rows_have_medians_intervals_and_failures() -> None:
    report = compared([10.0, 30.0, 20.0], {"mosec": [5.0, 15.0, 10.0]})
    report.add("mosec", 10, cell(8.0, failed=3))
    own, other = as_json(report)["rows"]
    assert (own["rps"], own["rps_interval"], own["core_ms"], own["requests_a_batch"]) == (
        20.0,
        [10.0, 30.0],
        1.5,
        2.0,
    )
    assert "ours_over_it" not in own
    assert other["ours_over_it"] == 2.0
    assert other["ours"] == "overlap"
    assert other["bad"] == 3


def test_a_framework_must_be_beaten_in_every_round() -> None:
    met = as_json(compared([11.0, 12.0], {"mosec": [9.0, 10.0]}))["goals"]
    missed = as_json(compared([11.0, 12.0], {"mosec": [9.0, 11.5]}))["goals"]
    assert [goal["met"] for goal in met] == [True]
    assert [goal["met"] for goal in missed] == [False]


@pytest.mark.parametrize(
    ("side", "own", "met"),
    [
        ("handwritten", 75.0, True),
        ("handwritten", 74.0, False),
        ("handwritten-haproxy", 90.0, True),
        ("handwritten-haproxy", 89.0, False),
    ],
)
def test_the_hand_written_application_sets_shares(side: str, own: float, met: bool) -> None:
    (goal,) = as_json(compared([own], {side: [100.0]}, clients=32))["goals"]
    assert goal["met"] is met
    assert goal["measured"] == pytest.approx(own / 100)


def test_at_one_client_the_latency_counts_and_not_the_share() -> None:
    report = Compared("dlrm", "rankway")
    report.add("rankway", 1, cell(1.0, p50_ms=1.4))
    report.add("handwritten", 1, cell(100.0, p50_ms=1.0))
    (goal,) = as_json(report)["goals"]
    assert goal["met"]
    assert goal["measured"] == pytest.approx(0.4)


def test_goals_need_our_own_cell() -> None:
    assert goals([{"side": "mosec", "clients": 1}], "rankway") == []


def test_text_names_skipped_sides_with_the_reason() -> None:
    report = compared([10.0], {"mosec": [5.0]})
    report.about["pytriton"] = "Triton"
    report.skipped["pytriton"] = "no wheel"
    text = as_text(as_json(report))
    assert "SKIPPED: no wheel" in text
    assert "met      more requests/s than mosec at 10 clients" in text
