from itertools import pairwise
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.connections import Connection, answer_size, http_request

LOWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nbody"
UPPER = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"
CHUNKED = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [LOWER, UPPER, CHUNKED])
def test_size_of_an_answer_follows_from_its_head(answer: bytes) -> None:
    assert answer_size(answer) == len(answer)


def test_size_is_unknown_until_the_head_is_complete() -> None:
    assert answer_size(LOWER[:30]) is None


def test_error_for_an_answer_without_length_shows_its_head() -> None:
    with pytest.raises(ValueError, match=r"unknown length.*http/1.0 200 ok"):
        answer_size(b"HTTP/1.0 200 OK\r\nserver: x\r\n\r\n")


@given(st.sampled_from([LOWER, UPPER, CHUNKED]), st.lists(st.integers(1, 120), max_size=6))
def test_an_answer_in_pieces_is_reported_once_with_its_status(answer: bytes, cuts: list[int]) -> None:
    reported: list[int] = []
    connection = Connection(lambda _, status: reported.append(status), lambda _, busy: None)
    connection.connection_made(Mock())
    connection.send(b"", 1.0)
    edges = [0, *sorted({min(cut, len(answer)) for cut in cuts}), len(answer)]
    for start, end in pairwise(edges):
        if start < end:
            connection.data_received(answer[start:end])
    assert reported == [int(answer[9:12])]
    assert not connection.busy


def test_lost_connection_reports_whether_a_request_was_in_flight() -> None:
    lost: list[bool] = []
    connection = Connection(lambda _, status: None, lambda _, busy: lost.append(busy))
    connection.connection_made(Mock())
    connection.connection_lost(None)
    connection.connection_made(Mock())
    connection.send(b"", 1.0)
    connection.connection_lost(ConnectionResetError())
    assert lost == [False, True]


def test_a_request_with_a_body_declares_its_length() -> None:
    request = http_request("host:1", "/v1/rank", b"{}")
    assert request.startswith(b"POST /v1/rank HTTP/1.1\r\nHost: host:1\r\n")
    assert request.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert http_request("host:1", "/readyz").startswith(b"GET /readyz HTTP/1.1\r\n")
