"""The hand-written walks beside the service's application, on the tiny world."""

import os
from pathlib import Path

import msgspec
import pytest

from benchmarks.cases.workloads import Workload
from benchmarks.harness.cells import rank_request
from benchmarks.harness.servers import control
from benchmarks.peer_servers.sides import ask
from benchmarks.peer_servers.walks_export import export_users
from benchmarks.peer_servers.work.answers import Answer, RankRequest
from benchmarks.peer_servers.work.walks import Walks


class _Body(msgspec.Struct):
    items: list[dict[str, str | float]]
    degraded: str | None


@pytest.mark.slow  # trains the tiny models
def test_answers_every_user_with_the_services_items_in_the_services_order(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "RANKWAY_HOME", str(tiny_home))
    workload = Workload("walks-50", tiny_home / "walks.yaml", candidates=50, k=10)
    export_users(workload, tiny_home, tmp_path)
    walks = Walks(tiny_home, tmp_path, 50, 1)
    bodies = workload.bodies()[:60]
    requests = [msgspec.json.decode(body, type=RankRequest) for body in bodies]
    documents = [
        document for first in range(0, 60, 7) for document in walks.rank(requests[first : first + 7])
    ]
    answers = [msgspec.json.decode(document, type=Answer) for document in documents]
    with workload.config_file() as config, control(config, 1) as server:
        replies = [
            ask(server.port, rank_request("127.0.0.1", body)).partition(b"\r\n\r\n")[2] for body in bodies
        ]
    for answer, reply in zip(answers, replies, strict=True):
        service = msgspec.json.decode(reply, type=_Body)
        assert service.degraded is None
        assert [item.id for item in answer.items] == [item["id"] for item in service.items]
        assert [item.score for item in answer.items] == pytest.approx(
            [item["score"] for item in service.items], abs=1e-4
        )
