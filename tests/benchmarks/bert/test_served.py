"""The served requests have the token counts that the benchmark states."""

from pathlib import Path

from benchmarks.bert.served import token_counts
from services.config.loading import load_config
from tests.pipelines import make_pipeline
from tests.texts import add_texts


def test_tokens_are_those_of_query_and_item_together(tmp_path: Path) -> None:
    path = make_pipeline(tmp_path)
    add_texts(tmp_path)

    counts = token_counts(load_config(path), tmp_path)

    # Three tokens are around the texts. A text of this catalogue has 0 to 4 words, and a query has as many.
    assert counts.min() >= 3
    assert counts.max() == 3 + 4 + 4
