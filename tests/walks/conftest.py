"""The tiny world of the real map, made once a test run, and the parts it is made of."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from walks.attributes import RouteFacts, measure
from walks.build import build_world
from walks.distinct import pick_distinct
from walks.graph import WalkGraph, build_graph
from walks.opinions import RouteTruth, draw_truth
from walks.osm import RawMap, read_map
from walks.people import People, draw_people
from walks.presets import PRESETS, WorldConfig
from walks.propose import choose_anchors, propose
from walks.routes import Routes
from walks.simulate import Log, simulate
from walks.sources import MAP, WEATHER, locate
from walks.surroundings import Surroundings, look_around
from walks.visits import Visits, draw_visits
from walks.weather import read_weather
from walks.world import World, inputs_of


@dataclass(frozen=True)
class City:
    """The real map and routes over it."""

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
    visits: Visits
    log: Log


@pytest.fixture(scope="session")
def city() -> City:
    """The map of Helsinki with 120 routes."""
    rng = np.random.default_rng(7)
    raw = read_map(locate(MAP))
    graph = build_graph(raw)
    around = look_around(raw, graph)
    anchors = choose_anchors(graph, 120, rng)
    proposed = propose(graph, around, anchors, 6000, 0.5, rng)
    routes = proposed.take(pick_distinct(graph, proposed, 120, 0.5, 0.7))
    return City(raw, graph, around, routes, measure(graph, around, routes))


@pytest.fixture(scope="session")
def play(city: City) -> Play:
    """Sixty simulated people."""
    config = PRESETS["tiny"].model_copy(update={"users": 60, "lists_per_user": 30.0})
    rng = np.random.default_rng(11)
    corners = np.stack([city.graph.xy.min(axis=0), city.graph.xy.max(axis=0)])
    people = draw_people(config.users, corners, rng)
    truth = draw_truth(city.facts, rng)
    weather = read_weather(locate(WEATHER), config.days)
    visits = draw_visits(people, weather, config.lists_per_user, corners, rng)
    return Play(config, people, truth, visits, simulate(people, truth, visits, config, rng))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The tiny preset, built as the command builds it."""
    home: Path = tmp_path_factory.mktemp("walks-home")
    built = World(home / "walks" / "tiny")
    build_world(inputs_of("tiny", home), built, "tiny", lambda stage, stages: None)
    return built
