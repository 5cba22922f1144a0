from pathlib import Path

import pytest

from models.features.catalogue import Catalogue
from services.errors import NotFound
from services.ingress.items import item_row
from tests.pipelines import make_pipeline


def test_finds_item_by_its_exact_id(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    catalogue = Catalogue.open(tmp_path / "catalogue")
    assert catalogue.ids[item_row(catalogue, "item-0042")] == "item-0042"
    for unknown in ("nowhere", "", "x" * 100_000):
        with pytest.raises(NotFound, match="id: not in catalogue small") as refused:
            item_row(catalogue, unknown)
        assert refused.value.field == "id"
        assert len(refused.value.detail) < 200
