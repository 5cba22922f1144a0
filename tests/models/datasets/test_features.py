import numpy as np
import pytest

from models.datasets.events import moments_of
from models.datasets.features import features_of, histories
from tests.models.datasets.logs import make_log


@pytest.mark.parametrize("repeats", [False, True])
def test_history_equals_a_plain_loop_over_the_log(repeats: bool) -> None:
    log, longest = make_log(repeats=repeats), 6
    moments = moments_of(log)
    keys = np.arange(len(log.item_ids)) + 1000
    columns = histories(log, moments, keys, longest)
    for index, (first, start, at_s) in enumerate(
        zip(moments.first, moments.start, moments.at_s, strict=True)
    ):
        latest: dict[int, int] = {}
        counts: dict[int, int] = {}
        for event in range(first, start):
            item = int(log.item[event])
            latest.pop(item, None)  # the dictionary is in the order of the last choice
            latest[item] = event
            counts[item] = counts.get(item, 0) + 1
        newest = list(latest)[-longest:]
        assert columns["user.history"][index].tolist() == [1000 + item for item in newest]
        assert columns["user.history_count"][index].tolist() == [counts[item] for item in newest]
        assert columns["user.history_value"][index].tolist() == [log.value[latest[item]] for item in newest]
        assert columns["user.history_age_s"][index].tolist() == [at_s - log.at_s[latest[i]] for i in newest]
        assert columns["user.history_rank"][index].tolist() == list(range(len(newest)))[::-1]


def test_length_of_the_history_changes_the_feature_hash() -> None:
    log = make_log()
    assert features_of(log, 5).content_hash != features_of(log, 6).content_hash
