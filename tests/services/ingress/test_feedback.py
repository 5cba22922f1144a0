"""Requests that POST /v1/feedback accepts or rejects."""

import pytest

from services.errors import RequestError, Unprocessable
from services.ingress.feedback import parse_feedback

WHOLE = b'{"request_id": "r", "item_id": "i", "event": "rated", "value": 0.5}'


def test_accepts_every_event() -> None:
    assert parse_feedback(WHOLE).value == 0.5
    for event in (b"opened", b"walked"):
        body = b'{"request_id": "r", "item_id": "i", "event": "%s"}' % event
        assert parse_feedback(body).value is None


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"rated"', b'"liked"', "event"),
        (b'"r"', b'""', "request_id"),
        (b'"i"', b"7", "item_id"),
        (b"0.5", b"1.5", "value"),
        (b"0.5", b"null", "value"),
        (b'"rated"', b'"opened"', "value"),
        (b'"value"', b'"rating"', "rating"),
        (b', "event": "rated"', b"", "event"),
    ],
)
def test_error_names_the_field(old: bytes, new: bytes, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        parse_feedback(WHOLE.replace(old, new))
    assert refused.value.field == field


@pytest.mark.parametrize("body", [b"", b"{", b'{"event": NaN}', b"\xff"])
def test_rejects_body_that_is_not_json(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        parse_feedback(body)
    assert refused.value.status == 400
