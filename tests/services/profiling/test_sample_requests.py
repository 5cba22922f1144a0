"""Sample requests have queries if a model of the pipeline reads them."""

import json
from pathlib import Path

from services.config.loading import load_config, validated
from services.profiling.batches import UnitBatches
from services.profiling.sample_requests import SampleRequests
from tests.pipelines import make_pipeline, pipeline_document
from tests.texts import WORDS, add_texts


def test_requests_without_a_text_model_have_no_context(small_home: Path) -> None:
    sample = SampleRequests.of(validated(pipeline_document(), "test"), small_home)
    assert json.loads(sample.body(3)).keys() == {"user_id", "k", "deadline_ms"}


def test_requests_for_a_text_model_have_queries_from_the_items(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    add_texts(tmp_path)
    config = load_config(tmp_path / "pipeline.yaml")

    sample = SampleRequests.of(config, tmp_path)

    queries = {json.loads(sample.body(number))["context"]["query"] for number in range(50)}
    assert len(queries) > 1
    assert all(set(query.split()) <= set(WORDS) for query in queries)
    assert "" not in queries


def test_batches_of_a_text_model_have_queries(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    add_texts(tmp_path)
    batches = UnitBatches(load_config(tmp_path / "pipeline.yaml"), tmp_path, "main")
    try:
        batch = batches.job(2, 40)()
    finally:
        batches.close()
    assert batch.requests["context.query"].lengths.min() > 0  # type: ignore[attr-defined]
