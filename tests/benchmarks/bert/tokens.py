"""A small mix of texts, and BERT's tokenizer with few words."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from benchmarks.bert.mixes import Mix, median_mix, real_mix
from models.text.tokenizer import TOKENIZER
from tests.texts import WORDS, write_text_model

PRODUCTS = Counter({f"{a} {b}": 1 + 3 * number for number, (a, b) in enumerate(pairwise(WORDS))})
ROUTES = [" ".join(WORDS[: 1 + number % 5] * 3) for number in range(7)]


def tokenizer_in(folder: Path) -> Path:
    """Write the small tokenizer, and return its path."""
    write_text_model(folder / "text")
    return folder / "text" / TOKENIZER


def real(folder: Path, requests: int = 256) -> Mix:
    """Return the mix of products and routes."""
    return real_mix(tokenizer_in(folder), PRODUCTS, ROUTES, requests)


def of_median(folder: Path, requests: int = 4000) -> Mix:
    """Return the mix with a median of 24 tokens."""
    return median_mix(tokenizer_in(folder), PRODUCTS, ROUTES, requests)
