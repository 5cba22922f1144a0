"""The real application behind a real HTTP server, in this process."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.ragged import RaggedBatch
from services.app import StandaloneApp, build_application
from services.errors import Overloaded
from services.ingress import body, handlers
from services.ingress.asgi import Message
from tests.pipelines import bias_of, make_pipeline
from tests.services.bad_input import (
    BAD_BODIES,
    GOOD,
    MEBIBYTE,
    check_good,
    check_problem,
    chunk,
    chunked_head,
    declared_only,
)
from tests.services.servers import LIMIT_S, Connection, Reply, ask, http_request, http_server, rank_request


class Gate:
    """A first stage that may block the model thread, and records the requests that pass."""

    name = "gate"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []
        self.failures: list[Exception] = []

    def __call__(self, batch: RaggedBatch) -> RaggedBatch:
        self.batches.append([key.decode() for key in batch.user_keys])
        self.entered.set()
        assert self.open.wait(LIMIT_S)
        if self.failures:
            raise self.failures.pop()
        return batch

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Block the next batch."""
        self.open.clear()
        self.entered.clear()
        self.batches.clear()
        try:
            yield
        finally:
            self.open.set()


class Service:
    """A served application and the objects behind it."""

    def __init__(self, port: int, app: StandaloneApp, gate: Gate) -> None:
        assert app.rank_app is not None
        self.port, self.gate = port, gate
        self.app, self.engine = app.rank_app, app.rank_app.engine

    def waits_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, and let the service answer meanwhile."""
        for _ in range(2000):
            if condition():
                return
            assert ask(self.port, http_request("GET", "/healthz")).status == 200
        raise AssertionError("the condition did not come true")

    def waiting(self) -> int:
        return self.engine.runner.waiting_candidates


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("ingress")
    changes = {"units": {"main": {"batching": {"max_candidates": 4, "max_waiting_candidates": 8}}}}
    gate = Gate()
    app = StandaloneApp(make_pipeline(home, changes), home, first_stages=[gate])
    with http_server(app) as port:
        yield Service(port, app, gate)


def test_concurrent_users_each_get_their_own_scores(service: Service) -> None:
    def own(user: int) -> None:
        reply = ask(service.port, rank_request({**GOOD, "user_id": f"u{user}"}))
        scores = [item["score"] for item in reply.json["items"]]
        assert scores == [bias_of(user) + 11, bias_of(user) + 7]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(own, range(40)))


def test_unknown_user_gets_the_defaults(service: Service) -> None:
    for user in ("nobody", "ü" * 128, "🚶" * 128, "u3\\u0000"):
        reply = ask(service.port, rank_request({**GOOD, "user_id": user}))
        assert [item["score"] for item in reply.json["items"]] == [11.0, 7.0]
        assert reply.json["degraded"] is None


def test_candidates_are_near_the_user_if_the_request_names_none(service: Service) -> None:
    reply = ask(service.port, rank_request({"user_id": "u1", "context": {"position": [0.5, 0.5]}, "k": 100}))
    scores = [item["score"] for item in reply.json["items"]]
    assert len(scores) == 20
    assert scores == sorted(scores, reverse=True)


def test_answer_explains_its_scores_on_request(service: Service) -> None:
    answer = ask(service.port, rank_request({**GOOD, "explain": True}, {"x-request-id": "mine-1"})).json
    assert answer["request_id"] == "mine-1"
    assert answer["items"][0]["scores"] == {"ranker": 4011.0}
    assert set(answer["models"]) == {"ranker", "release"}
    assert {"queue", "features", "ranker"} <= answer["timings_ms"].keys()
    assert all(ms >= 0 for ms in answer["timings_ms"].values())


@pytest.mark.parametrize("name", BAD_BODIES)
def test_answers_bad_body_with_a_problem_that_names_the_field(service: Service, name: str) -> None:
    body, status, field = BAD_BODIES[name]
    with Connection(service.port) as connection:
        check_problem(connection.ask(rank_request(body, {"content-length": str(len(body))})), status, field)
        assert connection.ask(rank_request(GOOD)).status == 200, "the same connection serves on"
    check_good(service.port)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"user_id": st.text(max_size=9) | st.integers()},
        optional={
            "context": st.dictionaries(
                st.sampled_from(["shift", "position", "mood"]),
                st.floats() | st.integers() | st.lists(st.floats(width=32), max_size=3) | st.text(max_size=3),
            ),
            "candidates": st.lists(st.sampled_from(["item-0001", "item-0499", "", "item-0500"]), max_size=4)
            | st.none(),
            "k": st.integers(-3, 110) | st.floats(),
            "deadline_ms": st.none() | st.floats() | st.integers(),
            "priority": st.integers(-200, 200),
            "explain": st.booleans() | st.none(),
            "colour": st.none(),
        },
    )
)
def test_any_request_is_answered_or_rejected_with_the_field(
    service: Service, document: dict[str, Any]
) -> None:
    reply = ask(service.port, rank_request(document))
    assert reply.status in {200, 400, 422, 429}, reply.body
    if reply.status == 200:
        assert len(reply.json["items"]) <= document.get("k", 10)
        assert all(isinstance(item["score"], float) for item in reply.json["items"])
    elif reply.status != 429:
        check_problem(reply, reply.status, reply.json["field"])


def test_last_value_of_a_duplicate_key_counts(service: Service) -> None:
    reply = ask(service.port, rank_request(b'{"user_id":"u1","user_id":"u2","candidates":["item-0000"]}'))
    assert reply.json["items"] == [{"id": "item-0000", "score": bias_of(2)}]


def test_refuses_declared_body_of_100_mb_before_it_is_sent(service: Service) -> None:
    check_problem(ask(service.port, declared_only(100 * MEBIBYTE)), 413, "body")
    check_good(service.port)


def test_reads_and_drops_declared_body_of_100_mb_that_is_sent_anyway(service: Service) -> None:
    with Connection(service.port) as connection:
        connection.send(declared_only(100 * MEBIBYTE))
        check_problem(connection.reply(), 413, "body")
        piece = b"x" * MEBIBYTE
        for _ in range(100):
            connection.send(piece)
        assert connection.ask(rank_request(GOOD)).status == 200


def test_refuses_body_of_undeclared_size_once_it_exceeds_the_limit(service: Service) -> None:
    with Connection(service.port) as connection:
        connection.send(chunked_head())
        piece = chunk(b" " * 65_536)
        for _ in range(17):
            connection.send(piece)
        check_problem(connection.reply(), 413, "body")
        for _ in range(1600 - 17):
            connection.send(piece)
        connection.send(b"0\r\n\r\n")
        assert connection.ask(rank_request(GOOD)).status == 200
    check_good(service.port)


def test_joins_a_body_that_arrives_in_many_pieces(service: Service) -> None:
    with Connection(service.port) as connection:
        connection.send(chunked_head())
        for byte in json.dumps(GOOD).encode():
            connection.send(chunk(bytes([byte])))
        connection.send(b"0\r\n\r\n")
        assert connection.reply().status == 200


def test_incomplete_body_gets_408_and_its_connection_is_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_BODY_LIMIT_S", 0.05)
    with Connection(service.port) as connection:
        connection.send(declared_only(100) + b'{"user_id":')
        check_problem(connection.reply(), 408, "body")
        assert connection.socket.recv(1) == b"", "the connection is closed"


@pytest.mark.parametrize(
    ("method", "path", "status", "field"),
    [
        ("GET", "/v1/rank", 405, "method"),
        ("PUT", "/v1/rank", 405, "method"),
        ("POST", "/healthz", 405, "method"),
        ("DELETE", "/v1/items/item-0001", 405, "method"),
        ("POST", "/v1/ranks", 404, "path"),
        ("POST", "/v1/rank/", 404, "path"),
        ("GET", "/", 404, "path"),
        ("GET", "/v1/items/", 404, "id"),
        ("GET", "/v1/items/none", 404, "id"),
        ("GET", "/v1/items/%ff%00%2e", 404, "id"),
        ("GET", "/v1/items/../../etc/passwd", 404, "id"),
        ("GET", "/" + "x" * 20_000, 404, "path"),
    ],
)
def test_answers_unknown_route_with_a_problem(
    service: Service, method: str, path: str, status: int, field: str
) -> None:
    reply = ask(service.port, http_request(method, path))
    check_problem(reply, status, field)
    if status == 405:
        assert reply.headers["allow"] == ("POST" if path == "/v1/rank" else "GET, HEAD")


def test_items_and_health_answer_get_and_head(service: Service) -> None:
    reply = ask(service.port, http_request("GET", "/v1/items/item-0042"))
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/geo+json"
    assert reply.json["id"] == "item-0042"
    health = ask(service.port, http_request("GET", "/readyz")).json
    assert health == {
        "status": "ok",
        "pipeline": "small",
        "catalogue": "1",
        "release": service.engine.release.name,
        "loaded": [service.engine.release.name],
        "failed": None,
        "fast_path": False,
    }
    with Connection(service.port) as connection:
        connection.send(http_request("HEAD", "/healthz"))
        assert connection.reply(to_head=True).status == 200
        assert connection.ask(http_request("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("sent_id", "is_kept"),
    [
        (b"mine-7", True),
        (b"a b:c/d", True),
        (b"", False),
        (b"x" * 128, True),
        (b"x" * 129, False),
        (b"caf\xe9", False),
        (b"\xff\xfe", False),
        (b"tab\there", False),
    ],
)
def test_keeps_a_printable_request_id_and_replaces_others(
    service: Service, sent_id: bytes, is_kept: bool
) -> None:
    reply = ask(service.port, rank_request(GOOD, {"x-request-id": sent_id}))
    assert reply.status == 200
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert (reply.headers["x-request-id"] == sent_id.decode("latin-1")) == is_kept
    assert reply.headers["x-request-id"]


def test_request_id_cannot_inject_response_headers(service: Service) -> None:
    reply = ask(service.port, rank_request(GOOD, {"x-request-id": b"a\r\nset-cookie: b"}))
    assert "set-cookie" not in reply.headers
    check_good(service.port)


def test_answers_pipelined_requests_in_order(service: Service) -> None:
    asked = [rank_request({**GOOD, "user_id": f"u{i}"}) for i in range(5)]
    asked.insert(2, rank_request(b"{"))
    with Connection(service.port) as connection:
        connection.send(b"".join(asked))
        replies = [connection.reply() for _ in asked]
    assert [reply.status for reply in replies] == [200, 200, 400, 200, 200, 200]
    tops = [reply.json["items"][0]["score"] for reply in replies if reply.status == 200]
    assert tops == [bias_of(i) + 11 for i in range(5)]


def test_answers_429_at_once_if_the_queue_is_full(service: Service) -> None:
    with ThreadPoolExecutor(8) as pool, service.gate.shut():
        accepted = [pool.submit(ask, service.port, rank_request(GOOD))]
        assert service.gate.entered.wait(LIMIT_S)
        accepted += [pool.submit(ask, service.port, rank_request(GOOD)) for _ in range(4)]
        service.waits_for(lambda: service.waiting() == 8)
        refused = ask(service.port, rank_request(GOOD))
        check_problem(refused, 429, None)
        assert refused.headers["retry-after"] == "1"
        assert refused.json["type"].endswith(":QueueFull")
        service.gate.open.set()
        assert [each.result(LIMIT_S).status for each in accepted] == [200] * 5
    assert service.waiting() == 0


def test_heavy_overload_is_answered_or_refused_and_leaves_nothing_behind(service: Service) -> None:
    def client(user: int) -> Counter[int]:
        data = rank_request({**GOOD, "user_id": f"u{user}"})
        statuses: Counter[int] = Counter()
        with Connection(service.port) as connection:
            for _ in range(40):
                reply = connection.ask(data)
                statuses[reply.status] += 1
                if reply.status == 200:
                    assert reply.json["items"][0]["score"] == bias_of(user) + 11
        return statuses

    with ThreadPoolExecutor(16) as pool:
        statuses: Counter[int] = sum(pool.map(client, range(16)), Counter())
    assert set(statuses) <= {200, 429}
    assert statuses[200] > 0
    assert statuses.total() == 16 * 40
    assert (service.waiting(), service.engine.runner.batches_in_flight) == (0, 0)


def test_answers_429_if_the_deadline_cannot_be_met(service: Service) -> None:
    check_problem(ask(service.port, rank_request({**GOOD, "deadline_ms": 1e-9})), 429, None)
    with ThreadPoolExecutor(1) as pool, service.gate.shut():
        late = pool.submit(ask, service.port, rank_request({**GOOD, "deadline_ms": 30}))
        reply = late.result(LIMIT_S)
        check_problem(reply, 429, None)
        assert reply.headers["retry-after"] == "1"
    check_good(service.port)


def test_serves_by_priority_and_then_by_deadline(service: Service) -> None:
    def named(user: str, **more: float) -> bytes:
        return rank_request({**GOOD, "user_id": user, **more})

    with ThreadPoolExecutor(8) as pool, service.gate.shut():
        replies = [pool.submit(ask, service.port, named("first"))]
        assert service.gate.entered.wait(LIMIT_S)
        for waiting, data in enumerate(
            [
                named("low", priority=-1),
                named("late", deadline_ms=20_000),
                named("soon", deadline_ms=10_000),
                named("high", priority=5),
            ],
            1,
        ):
            replies.append(pool.submit(ask, service.port, data))
            service.waits_for(lambda waiting=waiting: service.waiting() == 2 * waiting)  # type: ignore[misc]
        service.gate.open.set()
        assert [reply.result(LIMIT_S).status for reply in replies] == [200] * 5
        assert service.gate.batches == [["first"], ["high", "soon"], ["late", "low"]]


def test_request_of_a_client_that_left_is_not_computed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[int] = []
    monkeypatch.setattr(service.engine.request_metrics, "answered", lambda status, *_: noted.append(status))
    with ThreadPoolExecutor(4) as pool, service.gate.shut():
        first = pool.submit(ask, service.port, rank_request({**GOOD, "user_id": "u1"}))
        assert service.gate.entered.wait(LIMIT_S)
        with Connection(service.port) as leaving:
            leaving.send(rank_request({**GOOD, "user_id": "gone"}))
            service.waits_for(lambda: service.waiting() == 2)
        staying = pool.submit(ask, service.port, rank_request({**GOOD, "user_id": "u2"}))
        service.waits_for(lambda: service.waiting() == 4)
        service.gate.open.set()
        assert first.result(LIMIT_S).json["items"][0]["score"] == bias_of(1) + 11
        assert staying.result(LIMIT_S).json["items"][0]["score"] == bias_of(2) + 11
    assert service.gate.batches == [["u1"], ["u2"]]
    service.waits_for(lambda: service.engine.runner.is_idle)
    assert set(noted) == {200}, "nobody was there to be refused"


def test_client_that_leaves_a_batch_does_not_shift_other_answers(service: Service) -> None:
    with ThreadPoolExecutor(4) as pool, service.gate.shut():
        first = pool.submit(ask, service.port, rank_request(GOOD))
        assert service.gate.entered.wait(LIMIT_S)
        with Connection(service.port) as leaving:
            leaving.send(rank_request({**GOOD, "user_id": "gone"}))
            service.waits_for(lambda: service.waiting() == 2)
            staying = pool.submit(ask, service.port, rank_request({**GOOD, "user_id": "u2"}))
            service.waits_for(lambda: service.waiting() == 4)
            service.gate.entered.clear()
            service.gate.open.set()
            assert service.gate.entered.wait(LIMIT_S)
        assert staying.result(LIMIT_S).json["items"][0]["score"] == bias_of(2) + 11
        assert first.result(LIMIT_S).status == 200


def test_drops_client_that_leaves_before_its_body_arrives(service: Service) -> None:
    with Connection(service.port) as connection:
        connection.send(declared_only(100) + b"{")
    check_good(service.port)


def test_failed_stage_is_a_problem_and_the_next_request_succeeds(service: Service) -> None:
    service.gate.failures.append(ValueError("bad weights"))
    reply = ask(service.port, rank_request(GOOD))
    check_problem(reply, 500, None)
    assert "stage gate failed: ValueError: bad weights" in reply.json["detail"]
    check_good(service.port)


def test_answers_unexpected_error_with_a_problem(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "item_row", lambda *_: 10**9)
    check_problem(ask(service.port, http_request("GET", "/v1/items/item-0001")), 500, None)


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"POST /v1/rank HTTP/1.1\r\ncontent-length: -5\r\n\r\n"]
)
def test_bytes_that_are_not_http_do_not_affect_other_clients(service: Service, data: bytes) -> None:
    reply: Reply = ask(service.port, data)
    assert 400 <= reply.status < 500
    check_good(service.port)


def test_two_services_in_one_process_after_each_other(tmp_path: Path) -> None:
    config = make_pipeline(tmp_path)
    for _ in range(2):
        with http_server(StandaloneApp(config, tmp_path)) as port:
            check_good(port)


def test_application_reads_its_home_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(tmp_path))
    with http_server(build_application(str(make_pipeline(tmp_path)))) as port:
        check_good(port)


def test_request_that_is_refused_unread_keeps_its_id_and_is_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(
        service.engine.request_metrics, "answered", lambda status, _ms, _route: counted.append(status)
    )
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/v1/rank", "headers": [(b"x-request-id", b"mine-2")]}
    asyncio.run(service.app.refuse(scope, send, Overloaded("full: send again later", retry_after_s=1)))
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"x-request-id"], headers[b"retry-after"]) == (429, b"mine-2", b"1")
    assert json.loads(sent[1]["body"])["status"] == 429
    assert counted == [429]
