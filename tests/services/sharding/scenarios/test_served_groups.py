"""Models over two ranks behind real HTTP: they rank like one process."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from models.architectures.sequence_classifier import SequenceClassifier
from models.text.hugging_face import write_text_artifact
from models.text.tokenizer import TOKENIZER
from services.config.loading import load_config
from services.ingress.schema import RankRequest
from services.units.ingress_replica import build_engine
from tests.models.text.crossencoders import bert
from tests.pipelines import make_pipeline
from tests.services.processes import READY, START_LIMIT_S, ServiceProcess, free_port, started
from tests.services.servers import ask, http_request, rank_request
from tests.services.sharding.scenarios.test_faults import CENTRE, LIMIT_S, serves
from tests.texts import VOCABULARY, add_texts, text_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

USERS = [f"u-{number:06d}" for number in (1, 2, 77, 400)]
QUERIES = ["quiet forest", "sea path café", "path", "quiet 🌲 sea"]


@contextmanager
def service_of(config: Path, *, readyz: bool = False) -> Iterator[ServiceProcess]:
    """Serve a pipeline, and wait until it prints that it is ready, or until ``/readyz`` does."""
    port = free_port()
    command = ["-m", "cli.main", "serve", str(config), "--port", str(port)]
    with started(command, port, config.parent) as process:
        if readyz:
            wait_for_readyz(port)
        else:
            process.wait_for(READY)
        yield process


def wait_for_readyz(port: int) -> None:
    until_s = time.monotonic() + START_LIMIT_S
    while True:
        with suppress(OSError, AssertionError):  # nobody listens yet, or HAProxy does not know a replica
            if ask(port, http_request("GET", "/readyz")).status == 200:
                return
        assert time.monotonic() < until_s, "/readyz did not become 200"
        time.sleep(0.02)


def orders_of_one_process(config: Path, requests: list[RankRequest]) -> list[list[str]]:
    """Return each request's ranked items, computed in this process."""

    async def inside() -> list[list[str]]:
        engine = build_engine(load_config(config), config.parent, replica="test")
        try:
            async with asyncio.timeout(LIMIT_S):
                answers = [await engine.rank(request, "1") for request in requests]
        finally:
            engine.close()
        return [[item.id for item in answer.items] for answer in answers]

    return asyncio.run(inside())


def orders_over_http(service: ServiceProcess, requests: list[RankRequest]) -> list[list[str]]:
    """Return each request's ranked items from the service."""
    orders = []
    for request in requests:
        body = {
            "user_id": request.user_id,
            "context": request.context,
            "k": request.k,
            "deadline_ms": request.deadline_ms,
        }
        reply = ask(service.port, rank_request(body))
        assert reply.status == 200, reply.body
        assert reply.json["degraded"] is None
        orders.append([item["id"] for item in reply.json["items"]])
    return orders


def test_a_pipeline_of_ranks_ranks_like_one_process(tiny_home: Path) -> None:
    requests = [
        RankRequest(user_id=user, context={"position": CENTRE}, k=20, deadline_ms=5_000) for user in USERS
    ]
    expected = orders_of_one_process(tiny_home / "walks.yaml", requests)
    pipelined = {"models": {"ranker": {"runtime": {"kind": "accelerate", "shards": 2, "micro_batches": 2}}}}
    config = serves(tiny_home / "walks-deepspeed.yaml", pipelined, "walks-pipeline")
    with service_of(config, readyz=True) as service:
        first = ask(service.port, rank_request({"user_id": USERS[0], "deadline_ms": 1000}))
        assert (first.status, first.json["degraded"]) == (200, None), (
            "/readyz was 200 before the ranks were ready"
        )
        service.wait_for(READY)  # after this HAProxy is not reloaded. A reload would close idle connections
        assert orders_over_http(service, requests) == expected


@pytest.fixture(scope="module")
def text_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small pipeline with a cross-encoder that PyTorch runs in one process."""
    home = tmp_path_factory.mktemp("texts")
    make_pipeline(home)
    add_texts(home)
    module = bert(vocab_size=VOCABULARY)
    assert isinstance(module, SequenceClassifier)
    write_text_artifact(home / "bert", module, home / "text" / TOKENIZER, name="bert", onnx=False)
    serves(
        home / "pipeline.yaml",
        {"models": {"reranker": {"artifact": "bert", "runtime": {"kind": "torch"}}}},
        "texts",
    )
    return home


def texts_of(orders: list[list[str]]) -> list[list[str]]:
    """Return the items' texts. Items with the same text have the same score, so their order may differ."""
    return [[text_of(item_id) for item_id in order] for order in orders]


@pytest.mark.parametrize("kind", ["deepspeed", "accelerate"])
def test_a_cross_encoder_over_two_ranks_ranks_like_one_process(text_home: Path, kind: str) -> None:
    requests = [
        RankRequest(user_id="u1", context={"query": query}, k=15, deadline_ms=20_000) for query in QUERIES
    ]
    expected = texts_of(orders_of_one_process(text_home / "texts.yaml", requests))
    assert len({tuple(order) for order in expected}) == len(QUERIES)
    over_two = {"models": {"reranker": {"runtime": {"kind": kind, "shards": 2}}}}
    with service_of(serves(text_home / "texts.yaml", over_two, kind)) as service:
        assert texts_of(orders_over_http(service, requests)) == expected
