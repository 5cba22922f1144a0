"""Calls have every request once, within their budget of tokens."""

from pathlib import Path

import numpy as np

from benchmarks.bert.calls import Composer
from benchmarks.bert.mixes import MAX_LENGTH
from tests.benchmarks.bert.tokens import of_median


def test_groups_keep_every_request_and_the_budget(tmp_path: Path) -> None:
    mix = of_median(tmp_path)
    composer = Composer(mix, max_tokens=64)
    requests = mix.order[:200]

    calls = list(composer.calls(requests))

    assert sorted(np.concatenate(calls)) == sorted(requests)
    slots = [composer.inputs(call)["input_ids"].size for call in calls]
    assert all(size <= 64 or len(call) == 1 for size, call in zip(slots, calls, strict=True))
    tokens = sum(int(mix.texts.lengths[call].sum()) for call in calls)
    assert tokens / sum(slots) > 0.9


def test_without_groups_a_call_has_one_text_as_long_as_it_is_or_padded(tmp_path: Path) -> None:
    mix = of_median(tmp_path)
    (call,) = Composer(mix).calls(mix.order[:1])
    length = int(mix.texts.lengths[call[0]])

    tight, padded = Composer(mix).inputs(call), Composer(mix, padded=True).inputs(call)

    assert tight["input_ids"].shape == (1, length)
    assert padded["input_ids"].shape == (1, MAX_LENGTH)
    assert padded["attention_mask"].sum() == length
    np.testing.assert_array_equal(padded["input_ids"][0, :length], mix.texts[int(call[0])])
