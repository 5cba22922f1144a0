"""Pairs of texts as micro-batches: sorted by length, cut within a budget of tokens, each padded to its own longest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.ragged import RaggedArray, offsets_of
from models.signature import Inputs, InputSpec, PairSpec
from models.text.tokenizer import Template

Lengths = NDArray[np.int64]
_LONGEST = 4
"""Times the room of a pair. Of two texts that are both longer, the second counts as the longer one."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Some of the pairs, int64 (P,) by their positions, and the model's inputs for them, (P, L)."""

    positions: NDArray[np.int64]
    inputs: Inputs


def kept_lengths(
    first: Lengths, second: Lengths, room: int, truncation: Literal["longest_first", "only_second"]
) -> tuple[Lengths, Lengths]:
    """Give how many tokens of each text of a pair stay, (P,) each, where ``room`` is there for both.

    As Hugging Face's strategies of these names. It refuses a first text that leaves only_second nothing to take;
    here that text is cut too.
    """
    if truncation == "only_second":
        first = np.minimum(first, room)
        return first, np.minimum(second, room - first)
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    longer_kept = np.minimum(longer, np.maximum(shorter, room - shorter))
    both = shorter + longer_kept > room
    shorter_kept = np.where(both, room // 2, shorter)
    longer_kept = np.where(both, room // 2 + room % 2, longer_kept)
    swapped = first > second
    return np.where(swapped, longer_kept, shorter_kept), np.where(swapped, shorter_kept, longer_kept)


class PairBatcher:
    """Puts pairs together and cuts them into micro-batches; all of it in whole arrays."""

    def __init__(
        self, template: Template, pair: PairSpec, inputs: tuple[InputSpec, ...], max_tokens: int
    ) -> None:
        """max_tokens: slots of a micro-batch, padding included; one pair may take more."""
        self._template, self._pair, self._max_tokens = template, pair, max_tokens
        self._inputs = [(spec.name, spec.source) for spec in inputs]
        self.room = pair.max_length - template.added
        """Tokens that both texts of a pair have together at most."""
        self.most = _LONGEST * self.room
        """Tokens of a text to keep until it is in a pair: which text is longer decides which gets an odd token."""

    def __call__(
        self,
        queries: RaggedArray,
        query_of: NDArray[np.int64],
        texts: RaggedArray,
        text_of: NDArray[np.int64],
    ) -> Iterator[MicroBatch]:
        """Give micro-batches of P pairs, the longest first.

        query_of, text_of: int64 (P,), which query and which text each pair is of.
        """
        of_queries = (queries.offsets[query_of + 1] - queries.offsets[query_of]).astype(np.int64)
        of_texts = (texts.offsets[text_of + 1] - texts.offsets[text_of]).astype(np.int64)
        first, second = kept_lengths(of_queries, of_texts, self.room, self._pair.truncation)
        lengths = first + second + self._template.added
        order = np.argsort(-lengths, kind="stable")
        lengths, first, second = lengths[order], first[order], second[order]
        offsets = offsets_of(lengths)
        starts = offsets[:-1]
        begins = starts + len(self._template.before)
        middles = begins + first + len(self._template.between)
        of_first, of_second = _spans(begins, first), _spans(middles, second)
        ids = self._around(starts, begins + first, middles + second, "ids")
        ids[of_first] = queries.values[_spans(queries.offsets[query_of[order]], first)]
        ids[of_second] = texts.values[_spans(texts.offsets[text_of[order]], second)]
        types = self._around(starts, begins + first, middles + second, "types")
        types[of_first], types[of_second] = self._template.first_type, self._template.second_type
        for one, last in cuts(lengths, self._max_tokens):
            within = slice(int(offsets[one]), int(offsets[last]))
            mask = np.arange(lengths[one])[None, :] < lengths[one:last, None]
            yield MicroBatch(order[one:last], self._padded(mask, ids[within], types[within]))

    def _padded(self, mask: NDArray[np.bool_], ids: Lengths, types: Lengths) -> Inputs:
        inputs: Inputs = {}
        for name, source in self._inputs:
            if source == "tokens.mask":
                inputs[name] = mask.astype(np.int64)
                continue
            of_ids = source == "tokens.ids"
            inputs[name] = np.full(mask.shape, self._pair.pad_id if of_ids else 0, dtype=np.int64)
            inputs[name][mask] = ids if of_ids else types
        return inputs

    def _around(
        self, starts: Lengths, middles: Lengths, ends: Lengths, what: Literal["ids", "types"]
    ) -> NDArray[np.int64]:
        """Give all pairs end to end with what stands around their texts; the texts' places are left empty."""
        t = self._template
        parts = (
            (t.before, t.between, t.behind)
            if what == "ids"
            else (t.before_types, t.between_types, t.behind_types)
        )
        flat = np.empty(int(ends[-1]) + len(t.behind) if len(ends) else 0, dtype=np.int64)
        for positions, part in zip((starts, middles, ends), parts, strict=True):
            flat[positions[:, None] + np.arange(len(part))] = part
        return flat


def cuts(lengths: Lengths, max_tokens: int) -> Iterator[tuple[int, int]]:
    """Cut lengths (P,), the longest first, into runs of no more than ``max_tokens`` slots, at least one pair each."""
    one = 0
    while one < len(lengths):
        last = min(len(lengths), one + max(1, max_tokens // int(lengths[one])))
        yield one, last
        one = last


def _spans(starts: Lengths, lengths: Lengths) -> NDArray[np.int64]:
    """Give the positions of the spans that begin at ``starts``, end to end."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    positions: NDArray[np.int64] = np.arange(total, dtype=np.int64) + np.repeat(
        starts - (ends - lengths), lengths
    )
    return positions
