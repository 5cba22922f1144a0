"""Events that a real service survives: killed replicas, redeployments, scaling under load, and neighbours."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines import SPLIT, WITH_RERANKER, bias_of, make_pipeline, merged
from tests.services import redeploying
from tests.services.bad_input import BAD_BODIES, GOOD, check_good, check_problem
from tests.services.processes import (
    START_LIMIT_S,
    ServiceProcess,
    free_port,
    load,
    no_middleware,
    served,
    started,
)
from tests.services.servers import Connection, ask, http_request, rank_request
from tests.services.stages.test_fallback import FALLBACK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Redeploying:
    """A service that redeploys on request."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.port = service.port

    def deploy(self, changes: dict[str, Any]) -> None:
        pipe = self.service.process.stdin
        assert pipe is not None
        pipe.write(json.dumps(changes) + "\n")
        pipe.flush()
        self.service.wait_for(redeploying.READY)

    def workers(self) -> list[psutil.Process]:
        return self.service.replicas("main")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redeploying]:
    home, port = tmp_path_factory.mktemp("redeploying"), free_port()
    make_pipeline(home, {"units": {"main": {"replicas": 2}}})
    command = ["-m", "tests.services.redeploying", str(home), str(port)]
    with started(command, port, home) as process:
        process.wait_for(redeploying.READY)
        yield Redeploying(process)


def test_killed_replica_fails_no_request(service: Redeploying) -> None:
    with load(service.port) as asked:
        asked.wait_for(1000, replicas=2)
        for kills in (1, 2):
            victim = service.workers()[0]
            victim.send_signal(signal.SIGKILL)
            victim.wait(30)
            asked.wait_for(3000, replicas=2 + kills)  # until the new replica answers, too
    assert asked.wrong == []
    assert set(asked.statuses) == {200}


def test_scaling_and_redeploying_under_load_fail_no_request(service: Redeploying) -> None:
    with load(service.port) as asked:
        asked.wait_for(300)
        service.deploy({"units": {"main": {"replicas": 1}}})
        asked.wait_for(1000)
        service.deploy({"units": {"main": {"replicas": 3}}})
        asked.wait_for(1000)
        service.deploy({"units": {"main": {"replicas": 2}}, "requests": {"max_k": 50}})
        asked.wait_for(3000)
    assert asked.wrong == []
    assert set(asked.statuses) == {200}
    refused = ask(service.port, rank_request({"user_id": "u1", "k": 51}))
    assert (refused.status, refused.json["field"]) == (422, "k")
    assert ask(service.port, http_request("GET", "/healthz")).json["fast_path"] is True


def test_two_services_coexist_and_one_stops_without_the_other(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    services = [served(home) for home in homes]
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda service: service.__enter__(), services)
    try:
        check_good(one.port)
        check_good(two.port)
        left = one.descendants()
        assert one.interrupt() == 0
        assert [process for process in left if process.is_running()] == []
        check_good(two.port)
        left = two.descendants()
        assert two.terminate() == 0
        assert [process for process in left if process.is_running()] == []
    finally:
        for service in services:
            service.__exit__(None, None, None)


def test_answers_are_the_same_on_the_path_of_serve(tmp_path: Path) -> None:
    setting = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{no_middleware.__module__}:no_middleware"}
    with served(tmp_path, environment=setting) as service:
        assert service.match_in_output(r"(requests take Serve's slower path)")
        assert ask(service.port, http_request("GET", "/healthz")).json["fast_path"] is False
        for body, status, field in BAD_BODIES.values():
            data = rank_request(body, {"content-length": str(len(body))})
            check_problem(ask(service.port, data), status, field)
        for _ in range(20):
            with Connection(service.port) as leaving:
                leaving.send(rank_request(GOOD))
        with load(service.port) as asked:
            asked.wait_for(500)
        assert asked.wrong == []


def test_separate_ranker_gives_the_same_answers_and_is_replaced_if_killed(tmp_path: Path) -> None:
    changes = merged(WITH_RERANKER, merged(SPLIT, {"units": {"main": {"stages": ["features", "reranker"]}}}))
    with served(tmp_path, changes) as service:
        reply = ask(
            service.port, rank_request({"user_id": "u5", "candidates": ["item-0003"], "explain": True})
        )
        assert reply.json["items"] == [
            {
                "id": "item-0003",
                "score": bias_of(5) + 3.5,
                "scores": {"ranker": bias_of(5) + 3, "reranker": bias_of(5) + 3.5},
            }
        ]
        many = ask(service.port, rank_request({"user_id": "u5", "k": 20})).json["items"]
        assert len(many) == 20
        service.replicas("scorer")[0].send_signal(signal.SIGKILL)
        statuses = []
        for _ in range(int(START_LIMIT_S)):
            statuses.append(ask(service.port, rank_request({"user_id": "u5", "deadline_ms": 1000})).status)
            if statuses[-1] == 200:
                break
        assert statuses[-1] == 200
        assert set(statuses) <= {200, 429, 500}


def test_dead_ranker_unit_degrades_answers_but_fails_none(tmp_path: Path) -> None:
    with served(tmp_path, merged(SPLIT, FALLBACK)) as service:
        body = {"user_id": "u5", "candidates": ["item-0003"], "deadline_ms": 2000}
        assert ask(service.port, rank_request(body)).json["degraded"] is None
        service.replicas("scorer")[0].send_signal(signal.SIGKILL)
        degraded = []
        for _ in range(2000):
            reply = ask(service.port, rank_request(body))
            assert (reply.status, [item["id"] for item in reply.json["items"]]) == (200, ["item-0003"])
            degraded.append(reply.json["degraded"])
            if degraded[-1] is None and any(degraded):
                break
        assert any(reason and reason.startswith("ranker:") for reason in degraded)
        assert degraded[-1] is None, "the unit's next replica was not taken up"
