"""One real service on Ray Serve behind HAProxy, as ``rankway serve`` starts it."""

import json
import os
import re
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import rankway
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
from tests.services.processes import ServiceProcess, load, served
from tests.services.servers import Connection, ask, http_request, rank_request

HEADS, HEADS_CLOSED_WITHIN_S = 500, 10.0
SLOW_BODY_PAUSE_S = 1.5
METRICS_LIMIT_S = 40.0  # Ray's exporters report every few seconds
SERIES = (
    "rankway_requests_total",
    "rankway_request_latency_ms",
    "rankway_candidates_waiting",
    "rankway_candidates_served_total",
    "rankway_batch_candidates",
    "rankway_stage_latency_ms",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[ServiceProcess]:
    with served(home, {"units": {"main": {"replicas": 2}}}) as process:
        yield process


def test_service_that_reports_ready_is_warm_and_on_the_fast_path(service: ServiceProcess) -> None:
    for path in ("/readyz", "/healthz"):
        health = ask(service.port, http_request("GET", path))
        assert health.status == 200
        assert health.json["fast_path"] is True
        assert health.json["pipeline"] == "small"


def test_curl_command_on_stdout_asks_for_a_user_and_a_position_that_exist(service: ServiceProcess) -> None:
    assert service.next_on_stdout() == f"small is ready at http://127.0.0.1:{service.port}. Try it:"
    command = shlex.split(service.next_on_stdout() or "")
    done = subprocess.run([*command, "--max-time", "20"], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert len(answer["items"]) == 3
    assert "unknown_user" not in answer
    latitude, longitude = json.loads(command[-1])["context"]["position"]
    assert 0 <= latitude <= 1 and 0 <= longitude <= 1, "outside the catalogue"
    assert not any("Token authentication" in line for line in service.output)


def test_many_concurrent_users_get_their_own_scores(service: ServiceProcess) -> None:
    with load(service.port) as asked:
        asked.wait_for(500)
    assert asked.wrong == []


@pytest.mark.parametrize("name", BAD_BODIES)
def test_answers_bad_body_with_a_problem_that_names_the_field(service: ServiceProcess, name: str) -> None:
    body, status, field = BAD_BODIES[name]
    check_problem(ask(service.port, rank_request(body, {"content-length": str(len(body))})), status, field)
    check_good(service.port)


def test_refuses_body_of_100_mb_whether_declared_or_not(service: ServiceProcess) -> None:
    with Connection(service.port) as connection:
        connection.send(declared_only(100 * MEBIBYTE))
        check_problem(connection.reply(), 413, "body")
    with Connection(service.port) as connection:
        connection.send(chunked_head())
        for _ in range(18):
            connection.send(chunk(b" " * 65_536))
        check_problem(connection.reply(), 413, "body")
    check_good(service.port)


def test_answers_wrong_routes_and_odd_request_ids(service: ServiceProcess) -> None:
    check_problem(ask(service.port, http_request("GET", "/v1/rank")), 405, "method")
    check_problem(ask(service.port, http_request("GET", "/v1/none")), 404, "path")
    reply = ask(service.port, rank_request(GOOD, {"x-request-id": b"caf\xe9"}))
    assert reply.status == 200
    assert reply.json["request_id"] == reply.headers["x-request-id"] != "caf\xe9"
    assert ask(service.port, rank_request(GOOD, {"x-request-id": "mine-1"})).json["request_id"] == "mine-1"


def test_answers_429_if_the_deadline_cannot_be_met(service: ServiceProcess) -> None:
    reply = ask(service.port, rank_request({**GOOD, "deadline_ms": 1e-9}))
    check_problem(reply, 429, None)
    assert reply.headers["retry-after"] == "1"


def test_clients_that_leave_do_not_delay_others(service: ServiceProcess) -> None:
    for _ in range(50):
        with Connection(service.port) as connection:
            connection.send(rank_request(GOOD))
    check_good(service.port)


@pytest.mark.slow
def test_closes_endless_heads_while_it_answers_other_clients(service: ServiceProcess) -> None:
    body = json.dumps(GOOD).encode()
    pieces = [body[at : at + len(body) // 4 + 1] for at in range(0, len(body), len(body) // 4 + 1)]
    with ExitStack() as opened, load(service.port, clients=4, pause_s=0.02) as asked:
        idle, slow = (opened.enter_context(Connection(service.port)) for _ in range(2))
        assert idle.ask(rank_request(GOOD)).status == 200
        asked.wait_for(4)
        began_s = time.monotonic()
        heads = [opened.enter_context(Connection(service.port)) for _ in range(HEADS)]
        for number, head in enumerate(heads):
            head.send(rank_request(GOOD)[: number % 40])  # some send nothing, and none completes its head
        slow.send(rank_request(b"", {"content-length": str(len(body))}))
        for piece in pieces:
            time.sleep(SLOW_BODY_PAUSE_S)  # slower than any ordinary client, but legal
            slow.send(piece)
        assert slow.reply().status == 200
        for head in heads:
            head.socket.settimeout(max(0.01, began_s + HEADS_CLOSED_WITHIN_S - time.monotonic()))
            while head.socket.recv(1024):  # HAProxy's 408, then the end
                pass
        assert time.monotonic() - began_s < HEADS_CLOSED_WITHIN_S
        assert idle.ask(rank_request(GOOD)).status == 200
        asked.wait_for(100)
    assert asked.wrong == []
    assert asked.slowest_s < 3.0


def test_metrics_are_in_the_prometheus_export_of_ray(service: ServiceProcess) -> None:
    url = service.match_in_output(r"Prometheus metrics: (\S+)")
    end_s = time.monotonic() + METRICS_LIMIT_S
    missing, text = list(SERIES), ""
    while missing and time.monotonic() < end_s:
        check_good(service.port)
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        missing = [name for name in SERIES if name not in text]
    assert missing == []
    assert re.search(r'rankway_requests_total{[^}]*status="200"', text)
    assert re.search(r'rankway_stage_latency_ms_bucket{[^}]*stage="ranker"', text)


@pytest.mark.slow
def test_items_are_added_and_removed_under_load_without_an_error(service: ServiceProcess, home: Path) -> None:
    row = {"id": ["item-9000"], "value": [9000.0], "start": [[0.5, 0.5]], "embedding": [[1.0] + [0.0] * 7]}
    pq.write_table(pa.table(row), home / "items.parquet")
    environment, named = (
        {**os.environ, "RANKWAY_HOME": str(home)},
        {"user_id": "u1", "candidates": ["item-9000"]},
    )
    config = str(home / "pipeline.yaml")

    def until_all_answer(status: int) -> None:
        """Ask until both replicas have surely answered with this status."""
        in_row, end_s = 0, time.monotonic() + METRICS_LIMIT_S
        while in_row < 20:
            reply = ask(service.port, rank_request(named))
            in_row = in_row + 1 if reply.status == status else 0
            assert reply.status in (200, 422)
            assert time.monotonic() < end_s

    with load(service.port, pause_s=0.01) as asked:
        until_all_answer(422)
        rankway(environment, "catalogue", "add", config, str(home / "items.parquet"))
        until_all_answer(200)
        assert ask(service.port, http_request("GET", "/v1/items/item-9000")).json == {"id": "item-9000"}
        anywhere = {"user_id": "u1", "context": {"position": [0.5, 0.5]}, "k": 20}
        near = ask(service.port, rank_request(anywhere)).json
        assert "item-9000" in {item["id"] for item in near["items"]}
        assert near["models"]["catalogue"].startswith("1+1.")
        rankway(environment, "catalogue", "remove", config, "item-9000")
        until_all_answer(422)
        assert ask(service.port, http_request("GET", "/v1/items/item-9000")).status == 404
        asked.wait_for(100)
    assert asked.wrong == []


def test_ctrl_c_leaves_no_process_no_port_and_no_directory(service: ServiceProcess) -> None:
    left, directory = service.descendants(), service.runtime_directory()
    assert left
    assert directory.is_dir()
    assert service.interrupt() == 0
    assert [process for process in left if process.is_running()] == []
    with pytest.raises(ConnectionRefusedError):
        Connection(service.port)
    assert not directory.exists()
