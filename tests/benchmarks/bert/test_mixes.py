"""The mixes have the lengths and the repetitions that they state."""

from pathlib import Path

import numpy as np

from benchmarks.bert.mixes import MAX_LENGTH, Mix
from tests.benchmarks.bert.tokens import PRODUCTS, ROUTES, of_median, real


def test_half_of_the_real_requests_are_products_as_often_as_sold(tmp_path: Path) -> None:
    mix = real(tmp_path, 4000)

    is_product = mix.order < len(PRODUCTS)

    assert 0.45 < is_product.mean() < 0.55
    counts = np.bincount(mix.order[is_product])
    assert counts.argmax() == np.argmax(list(PRODUCTS.values()))
    assert len(mix.texts) == len(PRODUCTS) + len(ROUTES)


def test_median_mix_has_a_median_of_24_tokens_and_whole_texts(tmp_path: Path) -> None:
    mix = of_median(tmp_path)

    lengths = mix.distribution()

    assert 22 <= lengths["p50"] <= 26
    assert lengths["max"] <= MAX_LENGTH
    assert lengths["p99"] > 2 * lengths["p50"]
    first, last = mix.texts[0][0], mix.texts[0][-1]
    assert all(text[0] == first and text[-1] == last for text in (mix.texts[i] for i in range(50)))


def test_saved_mix_is_read_again(tmp_path: Path) -> None:
    mix = real(tmp_path)
    mix.save(tmp_path / "texts.npz")

    again = Mix.load(tmp_path / "texts.npz")

    assert again.name == "texts"
    np.testing.assert_array_equal(again.order, mix.order)
    np.testing.assert_array_equal(again.texts[3], mix.texts[3])
