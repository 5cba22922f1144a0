"""Requests that POST /v1/feedback accepts or rejects."""

import pytest

from models.served_log.kinds import FeedbackConfig
from services.errors import RequestError, Unprocessable
from services.ingress.feedback import parse_feedback

KINDS = FeedbackConfig(kinds={"click": 0.2, "purchase": 1.0, "rated": "value"})
WHOLE = b'{"request_id": "r", "item_id": "i", "event": "rated", "value": 0.5}'


def test_accepts_every_kind_of_the_pipeline() -> None:
    assert parse_feedback(WHOLE, KINDS).value == 0.5
    for event in (b"click", b"purchase"):
        body = b'{"request_id": "r", "item_id": "i", "event": "%s"}' % event
        assert parse_feedback(body, KINDS).value is None


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"rated"', b'"liked"', "event"),
        (b'"rated"', b"7", "event"),
        (b'"r"', b'""', "request_id"),
        (b'"i"', b"7", "item_id"),
        (b"0.5", b"1.5", "value"),
        (b"0.5", b"null", "value"),
        (b'"rated"', b'"click"', "value"),
        (b'"value"', b'"rating"', "rating"),
        (b', "event": "rated"', b"", "event"),
    ],
)
def test_error_names_the_field(old: bytes, new: bytes, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_feedback(WHOLE.replace(old, new), KINDS)
    assert refused.value.field == field


def test_error_about_an_unknown_kind_lists_the_known_kinds() -> None:
    body = WHOLE.replace(b"rated", b"l" * 1000)
    with pytest.raises(Unprocessable, match=r"got 'l{80}'; send one of click, purchase, rated$"):
        parse_feedback(body, KINDS)
    with pytest.raises(Unprocessable, match=r"declare feedback\.kinds in the pipeline's YAML file"):
        parse_feedback(body, FeedbackConfig())


@pytest.mark.parametrize("body", [b"", b"{", b'{"event": NaN}', b"\xff"])
def test_rejects_body_that_is_not_json(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        parse_feedback(body, KINDS)
    assert refused.value.status == 400
