"""MiniLM as a text ranker, and requests whose candidates are the walks routes' summaries."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.signature import Inputs, PairSpec
from models.text.item_tokens import item_texts
from models.text.pairs import PairBatcher
from models.text.tokenizer import TOKENIZER, PairTokenizer
from services.paths import home_directory
from walks.sources import WEIGHTS, locate

QUERY = "quiet forest path by the sea"
MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class TextRequests:
    """Some requests' texts. The timed part is the model and the composition of its calls."""

    tokenizer: PairTokenizer
    artifact: Artifact
    pair: PairSpec
    texts: list[list[str]]

    @classmethod
    def of(cls, root: Path, artifact: Artifact, texts: list[list[str]]) -> Self:
        """Take the texts of each request for the artifact at ``root``."""
        assert artifact.signature.pair is not None
        return cls(PairTokenizer(root / TOKENIZER), artifact, artifact.signature.pair, texts)

    def calls(self, request: int, max_tokens: int = sys.maxsize) -> Iterator[Inputs]:
        """Yield the model's calls for one request."""
        batcher = PairBatcher(self.tokenizer.template, self.pair, self.artifact.signature.inputs, max_tokens)
        queries = self.tokenizer.tokens([QUERY], batcher.room)
        texts = self.tokenizer.tokens(self.texts[request], batcher.room)
        every = np.arange(len(texts))
        for micro in batcher(queries, np.zeros(len(texts), dtype=np.int64), texts, every):
            yield micro.inputs


def write_minilm(root: Path, max_length: int = MAX_LENGTH) -> Artifact:
    """Import MiniLM into ``root``, with a random head."""
    from models.text.hugging_face import load_folder, write_text_artifact

    folder = locate(WEIGHTS).parent
    loaded = load_folder(
        folder, query="context.query", text="details.summary", max_length=max_length, random_head=True
    )
    return write_text_artifact(root, loaded.module, folder / TOKENIZER, name="minilm")


def draw_texts(candidates: int, requests: int) -> list[list[str]]:
    """Return the summaries of each request's routes, drawn at random."""
    catalogue = Catalogue.open(home_directory() / "walks/full/catalogue")
    texts = list(item_texts(catalogue, "details.summary", range(len(catalogue))))
    random = np.random.default_rng(0)
    return [[texts[row] for row in random.integers(0, len(texts), candidates)] for _ in range(requests)]
