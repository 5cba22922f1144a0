"""The walks' cross-encoder: trained on a few queries, measured, and served by configs/walks-text.yaml."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from models.runtimes.kinds.torch import TorchConfig
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.deployment.check import check_artifacts
from services.ingress.schema import RankRequest
from services.units.ingress_replica import build_engine
from walks.text.bm25 import bm25
from walks.text.queries import QuerySet
from walks.text.text_ranker import Fit, train_text_ranker
from walks.world import inputs_of, world_at

A_FEW = Fit(lists=6, candidates=3, lists_per_step=3, valid_lists=4, valid_candidates=5)


def test_bm25_ranks_the_text_with_the_rarer_word_first() -> None:
    texts = ["parks and cafés", "parks", "parks by the water", "streets"]
    query_set = QuerySet(["parks by water"], np.array([[3, 1, 2]]), np.zeros((1, 3), np.float32))

    (scores,) = bm25(query_set, texts)

    assert scores[0] == 0.0
    assert scores[2] > scores[1] > 0


@pytest.mark.slow
def test_serves_trained_text_ranker_and_keeps_the_order_without_a_query(tiny_home: Path) -> None:
    steps: list[int] = []
    root = tiny_home / "walks/models/text"
    wheels = tiny_home / "data-wheels"
    world, inputs = world_at("tiny", tiny_home), inputs_of("tiny", tiny_home)
    artifact = train_text_ranker(world, inputs, root, A_FEW, wheels, lambda done, *_: steps.append(done))
    assert steps == [1, 2]
    assert set(artifact.metrics) == {f"{n}ndcg_at_10" for n in ("", "bm25_", "embedding_", "random_")}
    assert artifact.lineage["taught"].startswith("synthetic queries alone")

    config = load_config(tiny_home / "walks-text.yaml")
    assert check_artifacts(config, tiny_home) == []
    text = config.models["text"].model_copy(update={"runtime": TorchConfig(kind="torch")})
    in_torch = config.model_copy(update={"models": {**config.models, "text": text}})
    queries = ["quiet forest path by the sea", "cafés and museums", ""]
    by_onnx = asyncio.run(_asked(load_config(tiny_home / "walks-text.yaml"), tiny_home, queries))
    by_torch = asyncio.run(_asked(in_torch, tiny_home, queries))

    assert by_onnx[0] != by_onnx[1]
    for one, other in zip(by_onnx, by_torch, strict=True):
        assert one.keys() == other.keys()
        assert all(one[item] == pytest.approx(other[item], abs=1e-3) for item in one)


async def _asked(config: PipelineConfig, home: Path, queries: list[str]) -> list[dict[str, float]]:
    """Return each query's items and scores. Without a query, the reranker's score must be the ranker's."""
    engine = build_engine(config, home, replica="test")
    try:
        answers = []
        for query in queries:
            request = RankRequest(
                user_id="u-000001", context={"query": query}, k=20, explain=True, deadline_ms=5_000
            )
            answer = await engine.rank(request, "1")
            assert answer.degraded is None and len(answer.items) > 5
            if not query:
                assert all(item.scores["reranker"] == item.scores["ranker"] for item in answer.items)
            answers.append({item.id: item.score for item in answer.items})
        return answers
    finally:
        engine.close()
