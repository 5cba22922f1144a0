"""Sample requests, which load a service while it is measured. Those for a text ranker have queries."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from models.artifact import Artifact
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.signature import PairSpec
from models.text.item_tokens import item_texts
from services.config.pipeline import PipelineConfig

DEADLINE_MS = 10_000
_USERS = 997
_QUERIES = 499  # a prime, so that users and queries are not in step
_WORDS = 6
_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class SampleRequests:
    """Requests of different users.

    Attributes:
        contexts: their contexts, used in a cycle.
    """

    contexts: Sequence[Mapping[str, Any]] = ({},)

    @classmethod
    def of(cls, config: PipelineConfig, home: Path) -> Self:
        """Return the requests for a pipeline. A query is the first six words of an item's text.

        Raises:
            ModelError: a model or the catalogue cannot be read.
        """
        pairs = [
            pair
            for model in config.models.values()
            if (pair := Artifact.read(home / model.artifact).signature.pair) is not None
        ]
        if not pairs:
            return cls()
        catalogue = Catalogue.open(settled(home / config.catalogue))
        columns = {_name_of(pair): _queries(catalogue, pair) for pair in pairs}
        count = max(map(len, columns.values()))
        return cls([{n: texts[i % len(texts)] for n, texts in columns.items()} for i in range(count)])

    def context(self, number: int) -> dict[str, Any]:
        """Return the context of a request, by its number."""
        return dict(self.contexts[number % len(self.contexts)])

    def body(self, number: int) -> bytes:
        """Return the body of a request, by its number."""
        document = {"user_id": f"u-{number % _USERS:06d}", "k": 10, "deadline_ms": DEADLINE_MS}
        context = self.context(number)
        return json.dumps(document | ({"context": context} if context else {})).encode()


def _name_of(pair: PairSpec) -> str:
    return pair.query.removeprefix("context.")


def _queries(catalogue: Catalogue, pair: PairSpec) -> list[str]:
    rows = np.linspace(0, len(catalogue) - 1, min(_QUERIES, len(catalogue))).astype(int)
    texts = (next(iter(item_texts(catalogue, pair.text, range(row, row + 1)))) for row in rows.tolist())
    queries = [" ".join(text.split()[:_WORDS])[:_MOST_CHARACTERS] for text in texts]
    return [query for query in queries if query] or [""]
