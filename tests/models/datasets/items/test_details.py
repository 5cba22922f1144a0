"""Details of items, from texts and from whole documents."""

import json

from models.datasets.items.details import details_of


def test_texts_replace_those_of_a_changed_item_and_keep_the_rest() -> None:
    before = [b'{"id":"a","type":"Feature","properties":{"title":"old","colour":"red"}}', None]
    made = details_of(["a", "b"], {"title": ["new", None]}, None, before)
    assert json.loads(made[0]) == {
        "id": "a",
        "type": "Feature",
        "properties": {"title": "new", "colour": "red"},
    }
    assert json.loads(made[1]) == {"id": "b"}


def test_details_without_new_texts_stay_as_they_are() -> None:
    before = [b'{ "id" : "a" }']
    assert details_of(["a"], {}, None, before) == before
    assert details_of(["a"], {"title": [None]}, None, before) == before


def test_whole_documents_replace_everything() -> None:
    assert details_of(["a", "b"], {}, ['{"x":1}', None], [b"{}", b'{"id":"b"}']) == [
        b'{"x":1}',
        b'{"id":"b"}',
    ]
