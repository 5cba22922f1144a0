"""Mixes of requests. Each request is one text, as tokens."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedArray, offsets_of
from models.text.tokenizer import PairTokenizer

MAX_LENGTH = 128
MEDIAN = 24
_SIGMA = 0.6
_FEWEST, _DISTINCT = 4, 5000
_ADDED = 2  # [CLS] and [SEP]
_PERCENTILES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True)
class Mix:
    """Texts, and the order in which they are requested.

    Attributes:
        texts: int32 token ids of distinct texts, with the tokens around a text, at most ``MAX_LENGTH`` each.
        order: int64 (R,), the text of each request.
    """

    name: str
    texts: RaggedArray
    order: NDArray[np.int64]

    def distribution(self) -> dict[str, float]:
        """Return the percentiles and the mean of the requests' token counts, and the share of repeated texts."""
        repeated = 1 - len(np.unique(self.order)) / len(self.order)
        return {**distribution_of(self.texts.lengths[self.order]), "repeated": repeated}

    def save(self, path: Path) -> None:
        """Write the mix for the worker processes."""
        np.savez(path, values=self.texts.values, offsets=self.texts.offsets, order=self.order)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a mix that ``save`` wrote."""
        with np.load(path) as arrays:
            return cls(path.stem, RaggedArray(arrays["values"], arrays["offsets"]), arrays["order"])


def distribution_of(lengths: NDArray[np.int64]) -> dict[str, float]:
    """Return the percentiles, the mean and the maximum of token counts (R,)."""
    found = {f"p{p}": float(np.percentile(lengths, p)) for p in _PERCENTILES}
    return {**found, "mean": float(lengths.mean()), "max": float(lengths.max())}


def shown(distribution: Mapping[str, float]) -> str:
    """Return a distribution as one line of text."""
    return ", ".join(f"{name} {value:.0f}" for name, value in distribution.items() if name != "repeated")


def real_mix(tokenizer: Path, products: Counter[str], routes: Sequence[str], requests: int) -> Mix:
    """Return the real texts: half of the requests are products, as often as they were sold, and half are routes."""
    names = list(products)
    shares = np.array([products[name] for name in names], dtype=np.float64)
    random = np.random.default_rng(0)
    sold = random.choice(len(names), requests, p=shares / shares.sum())
    shown = len(names) + random.integers(0, len(routes), requests)
    order = np.where(random.random(requests) < 0.5, sold, shown).astype(np.int64)
    return Mix("texts", _tokens(tokenizer, [*names, *routes]), order)


def median_mix(tokenizer: Path, products: Counter[str], routes: Sequence[str], requests: int) -> Mix:
    """Return texts with log-normal lengths and a median of 24 tokens, cut out of the real texts laid end to end.

    They are repeated as unevenly as the products: the text of rank r is as frequent as the product of rank r.
    """
    random = np.random.default_rng(1)
    names = [*products, *routes]
    every = _tokens(tokenizer, [names[index] for index in random.permutation(len(names))])
    ends = np.zeros(len(every.values), dtype=bool)
    ends[every.offsets[:-1]] = ends[every.offsets[1:] - 1] = True
    inner, first, last = every.values[~ends], every.values[0], every.values[-1]
    lengths = np.rint(MEDIAN * np.exp(_SIGMA * random.standard_normal(_DISTINCT))).astype(np.int64)
    lengths = lengths.clip(_FEWEST, MAX_LENGTH)
    starts = random.integers(0, max(1, len(inner) - MAX_LENGTH), _DISTINCT)
    cut = [
        np.concatenate([[first], np.resize(inner[start : start + length - _ADDED], length - _ADDED), [last]])
        for start, length in zip(starts, lengths, strict=True)
    ]
    shares = np.sort(np.array(list(products.values()), dtype=np.float64))[::-1]
    shares = np.resize(shares, _DISTINCT)
    order = random.choice(_DISTINCT, requests, p=shares / shares.sum()).astype(np.int64)
    return Mix(
        f"median {MEDIAN}", RaggedArray(np.concatenate(cut).astype(np.int32), offsets_of(lengths)), order
    )


def _tokens(tokenizer: Path, texts: Sequence[str]) -> RaggedArray:
    reader = PairTokenizer(tokenizer)
    before, behind = reader.template.before, reader.template.behind
    tokens = reader.tokens(texts, MAX_LENGTH - len(before) - len(behind))
    whole = [np.concatenate([before, tokens[index], behind]) for index in range(len(tokens))]
    return RaggedArray(
        np.concatenate(whole).astype(np.int32), offsets_of(np.array([len(each) for each in whole]))
    )
