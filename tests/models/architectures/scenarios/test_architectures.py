"""Building architectures by name from the options in an artifact."""

from typing import Any

import pytest

from models.architectures import build_architecture
from models.errors import ArtifactError
from tests.models.worlds import POOLED, RANKER, RERANKER


@pytest.mark.parametrize("options", [RANKER, POOLED, RERANKER])
def test_options_are_unchanged_after_a_round_trip_through_the_manifest(options: Any) -> None:
    assert build_architecture(options.model_dump(mode="json")).options == options


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "unknown architecture, got None; use one of history_ranker, pooled_ranker, listwise, dlrm"),
        ({"name": ["dlrm"]}, r"unknown architecture, got \['dlrm'\]"),
        ({"name": "dlrm", "depth": 3}, "depth"),
        (
            {"name": "listwise", "items": {"a": [2]}, "width": 30, "heads": 4},
            r"must be a multiple of heads \(4\), got 30",
        ),
        ({"name": "history_ranker", "items": {"a": [2]}, "distances": [{"origin": "context.here"}]}, "place"),
    ],
)
def test_rejects_invalid_options(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        build_architecture(document)


def test_a_ranker_needs_only_items_and_a_history() -> None:
    model = build_architecture({"name": "history_ranker", "items": {"a": (2,)}, "width": 8, "heads": 2})
    assert [spec.name for spec in model.signature("").inputs] == [
        "item_a",
        "past_a",
        "history_mask",
        "chunk_of",
    ]
