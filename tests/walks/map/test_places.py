import pytest

from walks.map.places import CATEGORIES, Place, place_of


@pytest.mark.parametrize(
    ("tags", "category"),
    [
        ({"amenity": "cafe", "name": "Ekberg"}, "cafe"),
        ({"amenity": "pub"}, "bar"),
        ({"tourism": "museum"}, "culture"),
        ({"historic": "memorial"}, "sights"),
        ({"shop": "books"}, "shop"),
        ({"amenity": "cafe", "shop": "books"}, "cafe"),
        ({"railway": "tram_stop"}, "transit"),
    ],
)
def test_a_place_has_one_category(tags: dict[str, str], category: str) -> None:
    assert place_of(tags, (60.0, 24.0)) == [Place(category, tags.get("name", ""), (60.0, 24.0))]
    assert category in CATEGORIES


@pytest.mark.parametrize(
    "tags", [{}, {"shop": "vacant"}, {"amenity": "waste_basket"}, {"highway": "crossing"}]
)
def test_tags_without_a_category_are_not_a_place(tags: dict[str, str]) -> None:
    assert place_of(tags, (60.0, 24.0)) == []
