"""The tokens of added items are joined with those of the catalogue, which stay where they are."""

import json
from pathlib import Path

import numpy as np

from models.features.catalogue import Catalogue
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder
from models.text.grown_tokens import GrownTokens
from models.text.item_tokens import item_texts, item_tokens
from models.text.tokenizer import TOKENIZER, PairTokenizer
from tests.pipelines import make_pipeline
from tests.texts import WORDS, add_texts

MOST, SOURCE = 30, "details.text"


def with_delta(catalogue: Catalogue, folder: DeltaFolder, number: int) -> Catalogue:
    """Add one item, and give another one a new text."""
    ids = [f"new-{number}", "item-0003"]
    texts = [" ".join(WORDS[: number + 1]), " ".join(WORDS[number:])]
    details = [json.dumps({"properties": {"text": text}}).encode() for text in texts]
    columns = {name: column[:2] for name, column in catalogue.columns.items()}
    folder.append(catalogue, Delta(ids, columns, details))
    return folder.applied(catalogue)


def test_every_row_has_its_tokens_after_deltas_and_nothing_of_the_base_is_copied(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    add_texts(tmp_path)
    base = Catalogue.open(tmp_path / "catalogue")
    tokenizer = tmp_path / "text" / TOKENIZER
    reader, folder = PairTokenizer(tokenizer), DeltaFolder(tmp_path / "deltas")
    tokens = first = GrownTokens(item_tokens(base, SOURCE, tokenizer, MOST))
    catalogue = base
    assert tokens.over(base, SOURCE, reader, MOST) is tokens
    for number in range(3):
        catalogue = with_delta(catalogue, folder, number)
        tokens = tokens.over(catalogue, SOURCE, reader, MOST)
        assert len(tokens) == len(catalogue)
        assert tokens.base is first.base
    at_once = first.over(catalogue, SOURCE, reader, MOST)
    rows = np.array([505, 3, 0, 500, 503, 3, 499, 501])
    expected = reader.tokens(list(item_texts(catalogue, SOURCE, range(len(catalogue)))), MOST).take(rows)
    for grown in (tokens, at_once):
        texts, places = grown.of(rows)
        for place, wanted in zip(places.tolist(), range(len(rows)), strict=True):
            assert texts[place].tolist() == expected[wanted].tolist()
        assert len(texts) == len(rows)
    texts, places = tokens.of(rows[[1, 2]])
    assert texts is first.base
    assert places.tolist() == [3, 0]
