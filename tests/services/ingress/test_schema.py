import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import RequestError, Unprocessable
from services.ingress.schema import RankedItem, RankRequest, parse_rank_request, read_urgency
from tests.services.stages.contexts import LAYOUT


def test_reads_every_field_of_a_request() -> None:
    sent = {
        "user_id": "ü-1",
        "context": {"position": [60.1, 24.9], "hour": 7},
        "candidates": ["a", "b"],
        "k": 3,
        "deadline_ms": 12.5,
        "priority": -2,
        "explain": True,
    }
    assert parse_rank_request(json.dumps(sent).encode()) == RankRequest(**sent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "user_id"),
        (b'{"user_id": ""}', "user_id"),
        (b'{"user_id": 7}', "user_id"),
        (b'{"user_id": null}', "user_id"),
        (b'{"user_id": "%s"}' % (b"u" * 129), "user_id"),
        (b'{"user_id": "u", "k": 0}', "k"),
        (b'{"user_id": "u", "k": 1001}', "k"),
        (b'{"user_id": "u", "k": 1.5}', "k"),
        (b'{"user_id": "u", "k": true}', "k"),
        (b'{"user_id": "u", "k": 99999999999999999999999}', "k"),
        (b'{"user_id": "u", "deadline_ms": 0}', "deadline_ms"),
        (b'{"user_id": "u", "deadline_ms": -5}', "deadline_ms"),
        (b'{"user_id": "u", "deadline_ms": 60001}', "deadline_ms"),
        (b'{"user_id": "u", "deadline_ms": "5"}', "deadline_ms"),
        (b'{"user_id": "u", "priority": 101}', "priority"),
        (b'{"user_id": "u", "explain": 1}', "explain"),
        (b'{"user_id": "u", "candidates": []}', "candidates"),
        (b'{"user_id": "u", "candidates": "a"}', "candidates"),
        (b'{"user_id": "u", "candidates": ["a", 2]}', "candidates[1]"),
        (b'{"user_id": "u", "context": []}', "context"),
        (b'{"user_id": "u", "context": {"a": ["b"]}}', "context[...][0]"),
        (b'{"user_id": "u", "context": {"a": {"b": 1}}}', "context[...]"),
        (b'{"user_id": "u", "context": {"a": [[1]]}}', "context[...][0]"),
        (b'{"user_id": "u", "context": {"a": true}}', "context[...]"),
        (b'{"user_id": "u", "extra": 1}', "extra"),
        (b"[]", "body"),
        (b"7", "body"),
        (b"null", "body"),
    ],
)
def test_rejects_invalid_value_and_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_rank_request(body)
    assert refused.value.field == field
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b'{"user_id": "u"',
        b'{"user_id": "u"} x',
        b'{"user_id": "u", "k": NaN}',
        b'{"user_id": "u", "context": {"a": Infinity}}',
        b'{"user_id": "u", "context": {"a": 1e999}}',
        b'{"user_id": "u", "context": {"a": -1e999}}',
        b'{"user_id": "u", "deadline_ms": 1e999}',
        b'{"user_id": "\xff\xfe"}',
        b'{"user_id": "u\\ud800"}',
        b'{"user_id": "\\udc00u"}',
        b'{"user_id": "u\n"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_body_that_is_not_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        parse_rank_request(body)
    assert refused.value.status in {400, 422}
    assert refused.value.field


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"user_id":' + b"[" * 100_000,
        b'{"user_id": "u", "context": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"user_id": "u", "context": {"a": ' + b'{"a":' * 100_000,
        b'{"user_id": "u", "candidates": ' + b"[" * 100_000,
        b'{"user_id": "u", "unknown": ' + b"[" * 100_000,
    ],
)
def test_rejects_endless_nesting(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        parse_rank_request(body)
    assert refused.value.field


def test_error_quotes_only_a_short_part_of_the_body() -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_rank_request(b'{"user_id": "u", "%s": 1}' % (b"x" * 500_000))
    assert len(refused.value.detail) < 400
    assert len(str(refused.value.field)) <= 120


def test_last_value_of_a_duplicate_key_wins() -> None:
    assert parse_rank_request(b'{"user_id": "a", "k": 3, "user_id": "b", "k": 4}').user_id == "b"


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_rejected(body: bytes) -> None:
    try:
        parse_rank_request(body)
    except RequestError as refused:
        assert refused.field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["user_id", "context", "candidates", "k", "deadline_ms", "priority", "explain", "x"]),
        json_values,
    )
)
def test_any_json_is_parsed_or_rejected(document: dict[str, object]) -> None:
    try:
        request = parse_rank_request(json.dumps(document).encode())
        LAYOUT.encode(request.context)
    except RequestError as refused:
        assert refused.field
    else:
        assert 1 <= request.k <= 1000


def test_item_has_scores_by_stage_only_on_request() -> None:
    assert msgspec.json.encode(RankedItem("a", 1.0)) == b'{"id":"a","score":1.0}'
    explained = RankedItem("a", 1.0, {"ranker": 2.0})
    assert msgspec.json.decode(msgspec.json.encode(explained))["scores"] == {"ranker": 2.0}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"user_id": "u", "priority": 3, "deadline_ms": 20.5}', (3, 20.5)),
        (b'{"candidates": ["\\"priority\\": 9"], "context": {"priority": 7}}', (0, None)),
    ],
)
def test_reads_urgency_from_the_fields_of_the_body(body: bytes, expected: tuple[int, float | None]) -> None:
    urgency = read_urgency(body)
    assert urgency is not None
    assert (urgency.priority, urgency.deadline_ms) == expected


@given(st.binary(max_size=30))
def test_body_that_cannot_be_decoded_has_no_urgency(body: bytes) -> None:
    urgency = read_urgency(body)
    assert urgency is None or body.strip().startswith((b"{", b"["))
