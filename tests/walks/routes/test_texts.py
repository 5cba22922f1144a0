import re

import pytest

from tests.walks.conftest import City
from walks.routes.texts import Writer


@pytest.fixture(scope="module")
def writer(city: City) -> Writer:
    return Writer(city.graph, city.around, city.facts)


def test_names_are_unique_and_include_kind_and_length(city: City, writer: Writer) -> None:
    names = writer.names()
    assert len(set(names)) == len(city.routes)
    km = city.facts.column("length_km")
    for row, name in enumerate(names):
        assert f"{km[row]:.1f} km" in name
        assert (" loop" in name) == bool(city.routes.loop[row])
        assert "Nameless" not in name


def test_descriptions_are_sentences_about_streets_of_the_map(city: City, writer: Writer) -> None:
    known = set(city.graph.names) | {area.name for area in city.around.areas}
    for row in range(len(city.routes)):
        text = writer.description(row)
        assert text.startswith("A ")
        assert text.endswith(".")
        assert "  " not in text
        assert " 0 " not in text
        along = re.search(r"(?:along|past) (.+?)(?: and past .+)?\. ", text + " ")
        assert along is not None
        assert any(name and name in along.group(1) for name in known)


def test_two_writers_write_the_same_texts(city: City, writer: Writer) -> None:
    again = Writer(city.graph, city.around, city.facts)
    assert again.names() == writer.names()
    assert [again.description(row) for row in range(20)] == [writer.description(row) for row in range(20)]


def test_summaries_name_places_and_contain_no_numbers(city: City, writer: Writer) -> None:
    summaries = writer.summaries()
    assert len(summaries) == len(city.routes)
    for row, text in enumerate(summaries):
        kind, _, named = text.partition(": ")
        assert kind.startswith("Loop" if city.routes.loop[row] else "Walk")
        assert named
        assert not re.search(r"\d", kind)
