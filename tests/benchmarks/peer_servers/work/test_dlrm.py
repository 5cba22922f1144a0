from pathlib import Path

import msgspec
import pytest

from benchmarks.peer_servers.work.answers import Answer, RankRequest
from benchmarks.peer_servers.work.dlrm import Dlrm
from tests.benchmarks.peer_servers.home import ITEMS, expected_scores, home

__all__ = ["home"]


def answers_of(work: Dlrm, ks: list[int]) -> list[Answer]:
    requests = [RankRequest(f"u-{index}", k) for index, k in enumerate(ks)]
    return [msgspec.json.decode(document, type=Answer) for document in work.rank(requests)]


def test_a_batch_is_answered_in_order_with_each_requests_best_items_first(home: Path) -> None:
    expected = expected_scores(home)
    answers = answers_of(Dlrm(home, 32, 1), [1, 32, 7])
    assert [len(answer.items) for answer in answers] == [1, 32, 7]
    for answer in answers:
        scores = [item.score for item in answer.items]
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx([expected[item.id] for item in answer.items], abs=1e-5)


def test_requests_of_one_batch_have_other_candidates_and_ids_and_the_same_timings(home: Path) -> None:
    first, second = answers_of(Dlrm(home, 32, 1), [32, 32])
    assert [item.id for item in first.items] != [item.id for item in second.items]
    assert first.request_id != second.request_id
    assert first.timings_ms == second.timings_ms


def test_candidates_are_drawn_from_the_whole_catalogue(home: Path) -> None:
    drawn = Dlrm(home, 32, 1).draw(100)
    assert drawn.shape == (100, 32)
    assert set(drawn.reshape(-1).tolist()) == set(range(ITEMS))
