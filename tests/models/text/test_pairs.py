"""Micro-batches have every pair once, within the budget, and truncated as by Hugging Face, for all lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from models.ragged import RaggedArray, offsets_of
from models.signature import InputSpec, PairSpec
from models.text.pairs import PairBatcher, cuts, kept_lengths
from models.text.tokenizer import Template

_LENGTHS = st.integers(0, 40)


@pytest.mark.parametrize("strategy", ["longest_first", "only_second"])
@given(first=_LENGTHS, second=_LENGTHS, room=st.integers(1, 60))
def test_truncates_texts_as_the_tokenizers_library_does(
    strategy: str, first: int, second: int, room: int
) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(room, strategy=strategy)
    if strategy == "only_second" and first + second > room and first >= room:
        return  # the library raises an error, but we truncate the query
    encoded = tokenizer.encode("a " * first, "b " * second)

    lengths = np.array([first]), np.array([second])
    result = kept_lengths(*lengths, room, "longest_first" if strategy == "longest_first" else "only_second")

    assert [int(n[0]) for n in result] == [encoded.ids.count(0), encoded.ids.count(1)]


def test_truncates_a_query_that_fills_all_room_alone() -> None:
    first, second = kept_lengths(np.array([9]), np.array([5]), 6, "only_second")

    assert (first[0], second[0]) == (6, 0)


@given(lengths=st.lists(st.integers(1, 50), max_size=60), budget=st.integers(1, 200))
def test_micro_batches_cover_all_pairs_within_the_budget(lengths: list[int], budget: int) -> None:
    ordered = np.array(sorted(lengths, reverse=True), dtype=np.int64)
    runs = list(cuts(ordered, budget))

    assert [index for begin, end in runs for index in range(begin, end)] == list(range(len(ordered)))
    assert all(end - begin == 1 or (end - begin) * ordered[begin] <= budget for begin, end in runs)


@given(data=st.data())
def test_joins_every_pair_according_to_its_template(data: st.DataObject) -> None:
    queries = _texts(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)), 100)
    texts = _texts(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=5)), 200)
    count = data.draw(st.integers(0, 12))
    query_of = np.array(
        data.draw(st.lists(st.integers(0, len(queries) - 1), min_size=count, max_size=count)), int
    )
    text_of = np.array(
        data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=count, max_size=count)), int
    )
    batcher = PairBatcher(
        _TEMPLATE, PairSpec(query="context.q", text="details.t", max_length=12), _INPUTS, 30
    )

    results: dict[int, list[int]] = {}
    for micro in batcher(queries, query_of, texts, text_of):
        ids, mask, types = (micro.inputs[name] for name in ("ids", "mask", "types"))
        assert ids.size <= 30 or len(ids) == 1
        assert mask.any(axis=0).all()  # no column has only padding
        assert not ids[mask == 0].any() and not types[mask == 0].any()
        for row, position in enumerate(micro.positions.tolist()):
            length = int(mask[row].sum())
            assert position not in results
            results[position] = ids[row, :length].tolist()
            assert (types[row, :length] == (ids[row, :length] >= 200) | (ids[row, :length] == 4)).all()

    for index in range(count):
        query, text = queries[int(query_of[index])], texts[int(text_of[index])]
        a, b = (
            int(n[0]) for n in kept_lengths(np.array([len(query)]), np.array([len(text)]), 8, "longest_first")
        )
        assert results[index] == [1, *query[:a].tolist(), 2, 3, *text[:b].tolist(), 4]
    assert len(results) == count


def _texts(lengths: list[int], first: int) -> RaggedArray:
    total = sum(lengths)
    return RaggedArray(np.arange(first, first + total, dtype=np.int32), offsets_of(np.array(lengths)))


_TEMPLATE = Template(
    before=np.array([1]),
    between=np.array([2, 3]),
    behind=np.array([4]),
    before_types=np.array([0]),
    between_types=np.array([0, 0]),
    behind_types=np.array([1]),
    first_type=0,
    second_type=1,
)
_INPUTS = (
    InputSpec(name="ids", source="tokens.ids", dtype="int64"),
    InputSpec(name="mask", source="tokens.mask", dtype="int64"),
    InputSpec(name="types", source="tokens.types", dtype="int64"),
)
