"""Bad requests, each with the expected status and field of its answer."""

from tests.services.servers import Connection, Reply, http_request, rank_request

GOOD = {"user_id": "u3", "candidates": ["item-0007", "item-0011"], "k": 2}
MEBIBYTE = 1024 * 1024

BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty body": (b"", 400, "body"),
    "no JSON": (b"user_id=u1", 400, "body"),
    "another type": (b'{"user_id": 7}', 422, "user_id"),
    "NaN": (b'{"user_id": "u", "context": {"shift": NaN}}', 400, "body"),
    "Infinity": (b'{"user_id": "u", "context": {"shift": Infinity}}', 400, "body"),
    "1e999": (b'{"user_id": "u", "context": {"shift": 1e999}}', 422, "context[...]"),
    "1e999 as deadline": (b'{"user_id": "u", "deadline_ms": 1e999}', 422, "deadline_ms"),
    "context out of range": (b'{"user_id": "u", "context": {"shift": 1e7}}', 422, "context.shift"),
    "unknown context": (b'{"user_id": "u", "context": {"mood": 1}}', 422, "context.mood"),
    "context of another shape": (b'{"user_id": "u", "context": {"position": [1]}}', 422, "context.position"),
    "unknown candidate": (b'{"user_id": "u", "candidates": ["item-0001", "none"]}', 422, "candidates[1]"),
    "no candidate": (b'{"user_id": "u", "candidates": []}', 422, "candidates"),
    "too many candidates": (
        b'{"user_id": "u", "candidates": [' + b",".join([b'"item-0001"'] * 401) + b"]}",
        422,
        "candidates",
    ),
    "a million candidates": (
        b'{"user_id": "u", "candidates": [' + b",".join([b'"item-0001"'] * 1_000_000) + b"]}",
        413,
        "body",
    ),
    "deep nesting": (b"[" * 100_000, 422, "body"),
    "deep nesting inside context": (
        b'{"user_id": "u", "context": {"a": ' + b"[" * 100_000,
        422,
        "context[...][0]",
    ),
    "deep nesting inside an unknown key": (b'{"user_id": "u", "x": ' + b'{"a":' * 100_000, 422, "x"),
    "broken UTF-8": (b'{"user_id": "\xff\xfe\xfd"}', 400, "body"),
    "a lone surrogate": (b'{"user_id": "\\ud800"}', 400, "body"),
    "k = 0": (b'{"user_id": "u", "k": 0}', 422, "k"),
    "k over the pipeline's limit": (b'{"user_id": "u", "k": 101}', 422, "k"),
    "negative deadline": (b'{"user_id": "u", "deadline_ms": -1}', 422, "deadline_ms"),
    "unknown key": (b'{"user_id": "u", "limit": 3}', 422, "limit"),
    "user over 128 characters": (b'{"user_id": "%s"}' % (b"u" * 129), 422, "user_id"),
}


def check_problem(reply: Reply, status: int, field: str | None) -> None:
    """Check an answer against RFC 9457 and the error template: problem, field and remedy."""
    assert reply.status == status, reply.body[:300]
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json
    assert document["status"] == status
    assert document["type"].startswith("urn:rankway:problem:")
    assert document["title"]
    assert ": " in document["detail"]
    assert status == 500 or "; " in document["detail"]
    assert len(reply.body) < 2000
    assert document["instance"] == reply.headers["x-request-id"]
    assert document.get("field") == field


def check_good(port: int) -> None:
    """Check that a good request is answered now."""
    with Connection(port) as connection:
        reply = connection.ask(rank_request(GOOD))
    assert reply.status == 200, reply.body
    items = {item["id"]: item["score"] for item in reply.json["items"]}
    assert items == {"item-0011": 4011.0, "item-0007": 4007.0}


def declared_only(size_bytes: int) -> bytes:
    """Return the head of a request that declares a huge body."""
    return http_request("POST", "/v1/rank", headers={"content-length": str(size_bytes)})


def chunked_head() -> bytes:
    """Return a request's head. The body follows in an unknown number of chunks."""
    return http_request("POST", "/v1/rank", headers={"transfer-encoding": "chunked"})


def chunk(data: bytes) -> bytes:
    """Return one chunk for a chunked body."""
    return b"%x\r\n" % len(data) + data + b"\r\n"
