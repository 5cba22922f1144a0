"""Builds a world: map, graph, routes, simulated people and ratings; catalogue, training data, user store.

Everything is written into a folder beside the final one, which is renamed when whole.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from models.features.catalogue import item_key
from walks.attributes import RouteFacts, measure
from walks.catalogue import route_ids, write_routes
from walks.datasets import DAY_S, popularity, write_split
from walks.distinct import pick_distinct
from walks.errors import TooFewRoutesError
from walks.features import FEATURES, PRESENT_S
from walks.graph import WalkGraph, build_graph
from walks.opinions import draw_truth
from walks.osm import read_map
from walks.people import draw_people
from walks.presets import PresetName, WorldConfig
from walks.propose import choose_anchors, propose
from walks.simulate import simulate
from walks.sources import MAP, WEATHER, sha256
from walks.surroundings import Surroundings, look_around
from walks.users import write_users
from walks.visits import draw_visits
from walks.weather import read_weather
from walks.world import Inputs, Progress, World

STAGES = (
    "map",
    "routes",
    "distinct routes",
    "people",
    "visits and ratings",
    "catalogue",
    "training data",
    "users",
)


def build_world(inputs: Inputs, world: World, preset: PresetName, progress: Progress) -> dict[str, Any]:
    """Build a world and put it in place; give its manifest.

    One process at a time may build a world; `walks.world.ensure_world` sees to that.

    Raises:
        WalksError: the inputs are no good; what was at the world's place is untouched.
    """
    world.root.parent.mkdir(parents=True, exist_ok=True)
    staging = World(world.root.with_name(f".{preset}.building"))  # one a killed build left goes first
    shutil.rmtree(staging.root, ignore_errors=True)
    try:
        manifest = _build(inputs, staging, preset, _Timer(progress))
        _swap(staging.root, world.root)
    finally:
        shutil.rmtree(staging.root, ignore_errors=True)
    return manifest


class _Timer:
    """Tells progress of each stage and keeps the seconds it took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = ("", time.monotonic())
        self.seconds: dict[str, float] = {}

    def stage(self, name: str) -> None:
        previous, since = self._last
        if previous:
            self.seconds[previous] = round(time.monotonic() - since, 2)
        self._last = (name, time.monotonic())
        if name:
            self._progress(name, len(STAGES))


def _build(inputs: Inputs, world: World, preset: PresetName, timer: _Timer) -> dict[str, Any]:
    config, stamp = inputs.config, inputs.stamp()
    seeds = np.random.SeedSequence(config.seed).spawn(
        4
    )  # one a part: more users leave the routes as they are
    timer.stage(STAGES[0])
    raw = read_map(inputs.map)
    graph = build_graph(raw)
    around = look_around(raw, graph)
    facts = _make_routes(graph, around, config, np.random.default_rng(seeds[0]), timer)
    latlon = [graph.projection.to_latlon(line) for line in facts.lines]
    ids = route_ids(latlon)
    keys = np.array([item_key(item_id) for item_id in ids], dtype=np.int64)
    timer.stage(STAGES[3])
    corners = np.stack([graph.xy.min(axis=0), graph.xy.max(axis=0)])
    truth = draw_truth(facts, np.random.default_rng(seeds[1]))
    people = draw_people(config.users, corners, np.random.default_rng(seeds[2]))
    timer.stage(STAGES[4])
    rng = np.random.default_rng(seeds[3])
    weather = read_weather(inputs.weather, config.days)
    visits = draw_visits(people, weather, config.lists_per_user, corners, rng)
    log = simulate(people, truth, visits, config, rng)
    start_s = PRESENT_S - DAY_S * config.days
    split_s = DAY_S * (config.days - config.valid_days)
    timer.stage(STAGES[5])
    write_routes(world.catalogue, graph, around, facts, ids, popularity(log, len(ids), split_s), stamp)
    timer.stage(STAGES[6])
    parts = {"train": visits.at_s < split_s, "valid": visits.at_s >= split_s}
    for split, chosen in parts.items():
        lists = np.flatnonzero(chosen)
        write_split(
            world.impressions(split), log, visits, lists, people.profile, keys, graph.projection, start_s
        )
    timer.stage(STAGES[7])
    write_users(world.users, log, people.profile, keys, start_s)
    world.definitions.write_text(yaml.safe_dump(FEATURES.model_dump(mode="json"), sort_keys=False))
    timer.stage("")
    manifest = {
        "preset": preset,
        "stamp": stamp,
        "config": config.model_dump(),
        "feature_hash": FEATURES.content_hash,
        "map": {"file": MAP.path, "sha256": sha256(inputs.map), "attribution": MAP.licence},
        "weather": {
            "file": WEATHER.path,
            "sha256": sha256(inputs.weather),
            "attribution": WEATHER.licence,
            "first_day": str(weather.start),
        },
        "simulated": "people, visits and ratings come from the model in walks/, not from anybody",
        "counts": {
            "junctions": graph.nodes,
            "edges": graph.edges,
            "walkable_km": round(float(graph.length_m.sum()) / 1000.0, 1),
            "routes": len(ids),
            "loops": int(facts.column("loop").sum()),
            "users": len(people),
            "lists": len(visits.user),
            "candidates": len(log.rows),
            "ratings": len(log.event_s),
            **{f"{split}_lists": int(chosen.sum()) for split, chosen in parts.items()},
        },
        "seconds": timer.seconds,
    }
    world.manifest.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _make_routes(
    graph: WalkGraph, around: Surroundings, config: WorldConfig, rng: np.random.Generator, timer: _Timer
) -> RouteFacts:
    timer.stage(STAGES[1])
    anchors = choose_anchors(graph, config.anchors, rng)
    proposed = propose(graph, around, anchors, config.proposals, config.loop_share, rng)
    timer.stage(STAGES[2])
    rows = pick_distinct(graph, proposed, config.routes, config.loop_share, config.max_jaccard)
    if len(rows) < config.routes:
        raise TooFewRoutesError(
            f"the map gives {len(rows)} distinct routes of the {config.routes} wanted, from"
            f" {config.proposals} proposals over {graph.length_m.sum() / 1000.0:.1f} km of ways;"
            " lower `routes`, or raise `proposals` or `max_jaccard`"
        )
    return measure(graph, around, proposed.take(rows))


def _swap(new: Path, place: Path) -> None:
    """Rename `new` to `place`; what was there is deleted after."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
