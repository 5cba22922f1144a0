"""Score a request's query together with each candidate's text, using a model with layout pairs."""

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.errors import RuntimeFailure, SignatureError
from models.features.catalogue import Catalogue
from models.ragged import RaggedArray, RaggedBatch
from models.runtimes.base import Runtime
from models.signature import PairSpec, Signature
from models.text.grown_tokens import GrownTokens
from models.text.item_tokens import item_texts, item_tokens
from models.text.pairs import MicroBatch, PairBatcher
from models.text.tokenizer import TOKENIZER, PairTokenizer


class TextConfig(BaseModel):
    """Text batching.

    Attributes:
        max_tokens: maximum tokens in one model call, including padding. A longer pair is scored alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(default=1024, ge=16, le=1_048_576)


class PairScorer:
    """Score texts in one catalogue. The constructor reads all item texts' tokens from the cache, or makes them."""

    def __init__(self, root: Path, signature: Signature, catalogue: Catalogue, config: TextConfig) -> None:
        """Read the tokenizer in the artifact at ``root``, and get the item texts' tokens.

        Raises:
            RuntimeFailure: the tokenizer cannot be used.
            SignatureError: an item has no such text, or ``pair.max_length`` leaves no room for texts.
        """
        assert signature.pair is not None, "layout pairs has a pair"
        self._pair = signature.pair
        self._tokenizer = PairTokenizer(root / TOKENIZER)
        self._batcher = PairBatcher(
            self._tokenizer.template, signature.pair, signature.inputs, config.max_tokens
        )
        if self._batcher.room < 1:
            raise SignatureError(
                f"pair.max_length: must be above {self._tokenizer.template.added}, the number of tokens that the "
                f"tokenizer adds to a pair, got {signature.pair.max_length}; raise pair.max_length"
            )
        base = item_tokens(catalogue, signature.pair.text, root / TOKENIZER, self._batcher.max_text_tokens)
        self._texts = self._tokens_over(GrownTokens(base), catalogue)

    def over(self, catalogue: Catalogue) -> Self:
        """Return a scorer for a later state of the catalogue.

        Raises:
            SignatureError: an added item has no such text.
        """
        other = copy(self)
        other._texts = self._tokens_over(self._texts, catalogue)
        return other

    def scores(self, batch: RaggedBatch, output: str, runtime: Runtime) -> NDArray[np.float32]:
        """Return the scores of all candidates, float32 (N,).

        If a request has no query, its candidates keep the score from an earlier stage, or get 0 without such a score.

        Raises:
            SignatureError: the query feature is not a text.
            RuntimeFailure: the model failed, or does not return one score per pair.
        """
        before = batch.candidates.get("score")
        scores = np.zeros(batch.candidate_count, np.float32) if before is None else before.astype(np.float32)
        for micro in self.micro_batches(batch):
            result = runtime.run(micro.inputs)[output]
            if result.size != len(micro.positions):
                raise RuntimeFailure(
                    f"output {output} has shape {result.shape} for {len(micro.positions)} pairs; export a model that "
                    f"returns one number per pair"
                )
            scores[micro.positions] = result.reshape(-1)
        return scores

    def micro_batches(self, batch: RaggedBatch) -> Iterator[MicroBatch]:
        """Yield the model's calls for a batch. Their positions are those of candidates whose request has a query.

        Raises:
            SignatureError: the query feature is not a text.
        """
        queries = self._queries(batch)
        query_of = batch.request_of()
        with_query = np.flatnonzero(queries.lengths[query_of] > 0)
        texts, text_of = self._texts.of(batch.rows[with_query])
        for micro in self._batcher(queries, query_of[with_query], texts, text_of):
            yield MicroBatch(with_query[micro.positions], micro.inputs)

    def _tokens_over(self, tokens: GrownTokens, catalogue: Catalogue) -> GrownTokens:
        return tokens.over(catalogue, self._pair.text, self._tokenizer, self._batcher.max_text_tokens)

    def _queries(self, batch: RaggedBatch) -> RaggedArray:
        """Return the tokens of each request's query, none for a request without a query."""
        column = _texts_of(batch, self._pair.query)
        texts = [column[i].tobytes().decode(errors="replace") for i in range(len(column))]
        return self._tokenizer.tokens(texts, self._batcher.max_text_tokens)


def check_texts(root: Path, pair: PairSpec, catalogue: Catalogue, batch: RaggedBatch) -> None:
    """Check that the artifact has a tokenizer, the catalogue's first item has a text, and the batch has queries.

    Raises:
        RuntimeFailure: the tokenizer cannot be used.
        SignatureError: the item has no such text, or the query feature is not a text.
    """
    PairTokenizer(root / TOKENIZER)
    list(item_texts(catalogue, pair.text, range(min(1, len(catalogue)))))
    _texts_of(batch, pair.query)


def _texts_of(batch: RaggedBatch, name: str) -> RaggedArray:
    column = batch.requests.get(name)
    if not isinstance(column, RaggedArray) or column.values.dtype != np.uint8:
        raise SignatureError(
            f"{name} is not a text of this pipeline; declare it in the feature definitions with dtype text"
        )
    return column
