import numpy as np
import pytest

from tests.walks.conftest import City, Play
from walks.map.cells import Cells
from walks.simulation.news import EFFECT, TOPICS, draw_news, names_of
from walks.simulation.people import INTERESTS


@pytest.fixture(scope="module")
def names(city: City) -> list[dict[str, list[str]]]:
    cells = Cells.over(city.graph.projection.to_latlon(city.graph.points))
    return names_of(cells, city.graph, city.around)


def test_news_is_about_real_names_of_its_cell(play: Play, names: list[dict[str, list[str]]]) -> None:
    for text, cell, topic in zip(play.news_texts, play.news.cell, play.news.topic, strict=True):
        fitting = names[cell][TOPICS[topic]] or names[cell]["any"]
        assert any(name in text for name in fitting), text
        assert "{" not in text


def test_names_are_those_of_the_map(city: City, names: list[dict[str, list[str]]]) -> None:
    known = {place.name for place in city.around.places} | {area.name for area in city.around.areas}
    known |= {*city.graph.names, "the city centre"}
    news_names = {name for kinds in names for names_of_kind in kinds.values() for name in names_of_kind}
    assert news_names <= known
    assert "Kaisaniemen puisto" in news_names
    assert all(kinds["any"] for kinds in names)


def test_newest_news_is_the_latest_that_has_not_ended(play: Play) -> None:
    news = play.news
    for hour in range(0, len(news.newest), 97):
        for cell in range(news.newest.shape[1]):
            there = (news.cell == cell) & (news.hour <= hour) & (hour < news.until)
            expected = np.flatnonzero(there)
            assert news.newest[hour, cell] == (expected[-1] if len(expected) else -1)
    some = np.argwhere(news.newest >= 0)[0]
    assert news.age_h(some[:1], some[1:])[0] >= 0
    none = np.argwhere(news.newest < 0)[0]
    assert news.age_h(none[:1], none[1:])[0] == np.inf


def test_the_same_seed_gives_the_same_news_and_there_is_at_least_one_piece(
    city: City, names: list[dict[str, list[str]]]
) -> None:
    cells = Cells.over(city.graph.projection.to_latlon(city.graph.points))
    first, second = (draw_news(cells, names, 500, 40.0, np.random.default_rng(3)) for _ in range(2))
    assert first[1] == second[1]
    assert np.array_equal(first[0].newest, second[0].newest)
    rare, rare_names = draw_news(cells, names, 500, 1e9, np.random.default_rng(3))
    assert len(rare_names) == 1
    assert (rare.newest >= 0).any()


def test_effect_table_is_largest_for_matching_topic_and_interest() -> None:
    assert EFFECT.shape == (len(TOPICS), len(INTERESTS))
    assert (np.diag(EFFECT) == EFFECT.max()).all()
