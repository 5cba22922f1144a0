from pathlib import Path

import pytest

from models.features.catalogue import Catalogue
from services.errors import NotFound
from services.ingress.items import item_row, media_type
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


@pytest.mark.parametrize(
    ("details", "kind"),
    [
        (b'{"type": "Feature", "id": "a"}', b"application/geo+json"),
        (b'{"id": "a"}', b"application/json"),
        (b'{"id": "a", "type": "shoe"}', b"application/json"),
        (b'{"id": "a", "type": 7}', b"application/json"),
        (b"[1]", b"application/json"),
        (b"", b"application/json"),
    ],
)
def test_only_places_are_geojson(details: bytes, kind: bytes) -> None:
    assert media_type(details) == kind
