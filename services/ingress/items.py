"""Look up a named item in the catalogue."""

import msgspec

from models.features.catalogue import Catalogue
from services.errors import NotFound

_SHOWN = 80  # characters of an id that are repeated in an error
_JSON, _GEOJSON = b"application/json", b"application/geo+json"
_SHAPES = frozenset(
    {
        "Feature",
        "FeatureCollection",
        "GeometryCollection",
        *(f"{prefix}{shape}" for prefix in ("", "Multi") for shape in ("Point", "LineString", "Polygon")),
    }
)


class _Document(msgspec.Struct):
    """An item's details. Only the type is read."""

    type: str = ""


_decoder = msgspec.json.Decoder(_Document)


def media_type(details: bytes) -> bytes:
    """Return the content type of an item's details: GeoJSON if the object's type is one of GeoJSON's."""
    try:
        return _GEOJSON if _decoder.decode(details).type in _SHAPES else _JSON
    except msgspec.MsgspecError:  # a type of another kind, such as a number
        return _JSON


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
