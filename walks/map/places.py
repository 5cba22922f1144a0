"""Points of interest and their categories. Routes count the places in each category."""

from collections.abc import Mapping
from dataclasses import dataclass

CATEGORIES = ("cafe", "restaurant", "bar", "culture", "sights", "worship", "shop", "rest", "transit", "play")
"""The categories, in column order, by which places along an edge or a route are counted."""

_BY_TAG: dict[str, dict[str, str]] = {
    "amenity": {
        "cafe": "cafe",
        "ice_cream": "cafe",
        "restaurant": "restaurant",
        "fast_food": "restaurant",
        "food_court": "restaurant",
        "bar": "bar",
        "pub": "bar",
        "nightclub": "bar",
        "biergarten": "bar",
        "theatre": "culture",
        "cinema": "culture",
        "library": "culture",
        "arts_centre": "culture",
        "fountain": "sights",
        "bandstand": "sights",
        "clock": "sights",
        "place_of_worship": "worship",
        "bench": "rest",
        "toilets": "rest",
        "drinking_water": "rest",
        "shelter": "rest",
        "marketplace": "shop",
        "bus_station": "transit",
        "ferry_terminal": "transit",
    },
    "tourism": {
        "museum": "culture",
        "gallery": "culture",
        "attraction": "sights",
        "artwork": "sights",
        "viewpoint": "sights",
        "zoo": "sights",
    },
    "historic": {"memorial": "sights", "monument": "sights", "tomb": "sights", "castle": "sights"},
    "railway": {"tram_stop": "transit", "subway_entrance": "transit", "station": "transit"},
    "highway": {"bus_stop": "transit"},
    "leisure": {
        "playground": "play",
        "pitch": "play",
        "fitness_station": "play",
        "sports_centre": "play",
        "bandstand": "sights",
    },
}
_NAMELESS_SHOPS = frozenset({"vacant", "no"})


@dataclass(frozen=True)
class Place:
    """One point of interest, at `latlon` degrees."""

    category: str
    name: str
    latlon: tuple[float, float]


def place_of(tags: Mapping[str, str], latlon: tuple[float, float]) -> list[Place]:
    """Return the place that these tags describe, or an empty list. The first category that matches counts."""
    for key, categories in _BY_TAG.items():
        category = categories.get(tags.get(key, ""))
        if category:
            return [Place(category, tags.get("name", ""), latlon)]
    if "shop" in tags and tags["shop"] not in _NAMELESS_SHOPS:
        return [Place("shop", tags.get("name", ""), latlon)]
    return []
