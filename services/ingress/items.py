"""Look up a named item in the catalogue."""

from models.features.catalogue import Catalogue
from services.errors import NotFound

_SHOWN = 80  # characters of an id that are repeated in an error


def item_row(catalogue: Catalogue, item_id: str) -> int:
    """Return the item's row.

    Raises:
        NotFound: the catalogue has no such item.
    """
    row = catalogue.row_by_id.get(item_id)
    if row is None:
        raise NotFound(
            f"not in catalogue {catalogue.manifest.name}, got {item_id[:_SHOWN]!r}; send one of its ids",
            field="id",
        )
    return row
