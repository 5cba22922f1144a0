"""Builds a world: map, graph, routes, texts, simulated people and ratings, catalogue, overlay, training data, store.

All files are written into a staging folder, which is renamed to the final folder once it is complete.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from models.atomic_directory import settled
from models.features.catalogue import item_key
from services.locks import file_lock
from walks.data.catalogue import route_ids, write_routes
from walks.data.datasets import popularity, write_split
from walks.data.embeddings import read_texts
from walks.data.event_tables import tables_of
from walks.data.features import FEATURES
from walks.data.overlay import write_conditions, write_news
from walks.data.users import write_users
from walks.errors import TooFewRoutesError
from walks.map.cells import Cells
from walks.map.graph import WalkGraph, build_graph
from walks.map.osm import read_map
from walks.map.surroundings import Surroundings, look_around
from walks.presets import PresetName, WorldConfig
from walks.routes.attributes import RouteFacts, measure
from walks.routes.distinct import pick_distinct
from walks.routes.propose import choose_anchors, propose
from walks.routes.texts import Writer
from walks.simulation.news import draw_news, names_of
from walks.simulation.people import draw_people
from walks.simulation.scene import Scene
from walks.simulation.simulate import simulate
from walks.simulation.utility import draw_truth
from walks.simulation.visits import draw_visits
from walks.simulation.weather import DAY_S, Weather, read_weather
from walks.sources import ENCODER, MAP, TOKENIZER, WEATHER, SourceFile, sha256
from walks.text.minilm import Encoder
from walks.world import Inputs, Progress, World

STAGES = (
    "map",
    "routes",
    "distinct routes",
    "texts and news",
    "people, visits and ratings",
    "catalogue",
    "training data",
    "users",
)


def build_world(inputs: Inputs, world: World, preset: PresetName, progress: Progress) -> dict[str, Any]:
    """Build a world, put it in place and return its manifest.

    Only one process at a time may call this for a world. `walks.ensure.ensure_world` takes care of that.

    Raises:
        WalksError: an input cannot be used. An existing world stays as it was.
    """
    world.root.parent.mkdir(parents=True, exist_ok=True)
    staging = World(world.root.with_name(f".{preset}.building"))  # may be left over from a killed build
    shutil.rmtree(staging.root, ignore_errors=True)
    try:
        manifest = _build(inputs, staging, preset, _Timer(progress))
        _swap(staging.root, world.root)
    finally:
        shutil.rmtree(staging.root, ignore_errors=True)
    return manifest


class _Timer:
    """Reports each stage when it starts, and records its duration in seconds."""

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
    # Each part of the world has its own seed, so that a different user count leaves the routes unchanged.
    seeds = np.random.SeedSequence(config.seed).spawn(5)
    timer.stage(STAGES[0])
    weather = read_weather(inputs.weather, config.days)
    raw = read_map(inputs.map)
    graph = build_graph(raw)
    around = look_around(raw, graph)
    facts = _make_routes(graph, around, config, np.random.default_rng(seeds[0]), timer)
    latlon = [graph.projection.to_latlon(line) for line in facts.lines]
    ids = route_ids(latlon)
    cells = Cells.over(graph.projection.to_latlon(graph.points))
    cell = cells.index_at(np.array([line[0] for line in latlon]))
    timer.stage(STAGES[3])
    writer = Writer(graph, around, facts)
    names = names_of(cells, graph, around)
    news, news_texts = draw_news(
        cells, names, weather.hours, config.news_interval_h, np.random.default_rng(seeds[4])
    )
    texts = read_texts(Encoder(inputs.encoder, inputs.tokenizer), writer.summaries(), news_texts)
    timer.stage(STAGES[4])
    rng = np.random.default_rng(seeds[3])
    scene = Scene(
        people=draw_people(config.users, _corners(graph), np.random.default_rng(seeds[2])),
        truth=draw_truth(facts, cell, texts.wording, texts.speaks_of, np.random.default_rng(seeds[1])),
        news=news,
        weather=weather,
        keys=np.array([item_key(item_id) for item_id in ids], dtype=np.int64),
        corners=_corners(graph),
        origin=graph.projection.origin,
    )
    visits = draw_visits(
        scene.people, weather, (0, 24 * config.days), config.lists_per_user, scene.corners, rng
    )
    log = simulate(scene.people, scene.truth, news, visits, config, rng)
    timer.stage(STAGES[5])
    world.root.mkdir()
    scene.save(world.scene)
    split_s = weather.end_s - DAY_S * config.valid_days
    popular = popularity(log, len(ids), split_s)
    write_routes(world.catalogue, writer, facts, latlon, ids, texts.routes, popular, cell, stamp)
    write_conditions(world.overlay, weather, news, texts.news)
    write_news(world.news, weather, news, news_texts)
    timer.stage(STAGES[6])
    tables = tables_of(log, visits, scene.keys, graph.projection, len(scene.people))
    parts = {"train": visits.at_s < split_s, "valid": visits.at_s >= split_s}
    for split, chosen in parts.items():
        lists = np.flatnonzero(chosen)
        root = world.impressions(split)
        write_split(root, log, visits, tables, lists, scene.people.profile, scene.keys, graph.projection)
    timer.stage(STAGES[7])
    write_users(world.users, scene.people.profile, tables)
    world.definitions.write_text(yaml.safe_dump(FEATURES.model_dump(mode="json"), sort_keys=False))
    timer.stage("")
    counts = {
        "junctions": graph.nodes,
        "edges": graph.edges,
        "walkable_km": round(float(graph.length_m.sum()) / 1000.0, 1),
        "routes": len(ids),
        "loops": int(facts.column("loop").sum()),
        "cells": len(cells),
        "news": len(news_texts),
        "users": len(scene.people),
        "lists": len(visits.user),
        "candidates": len(log.rows),
        "opened": len(log.opened),
        "ratings": len(log.rated),
        **{f"{split}_lists": int(chosen.sum()) for split, chosen in parts.items()},
    }
    manifest = _manifest(inputs, preset, stamp, weather) | {"counts": counts, "seconds": timer.seconds}
    world.manifest.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _manifest(inputs: Inputs, preset: PresetName, stamp: str, weather: Weather) -> dict[str, Any]:
    """Return the manifest's part about the inputs: preset, config, hashes and attribution."""

    def source_of(source: SourceFile, path: Path) -> dict[str, str]:
        return {"file": source.path, "sha256": sha256(path), "attribution": source.licence}

    return {
        "preset": preset,
        "stamp": stamp,
        "config": inputs.config.model_dump(),
        "feature_hash": FEATURES.content_hash,
        "map": source_of(MAP, inputs.map),
        "weather": {**source_of(WEATHER, inputs.weather), "first_day": str(weather.start)},
        "encoder": source_of(ENCODER, inputs.encoder),
        "tokenizer": source_of(TOKENIZER, inputs.tokenizer),
        "simulated": "people, visits, ratings, calendars and news come from the model in walks/, not from real persons",
    }


def _corners(graph: WalkGraph) -> NDArray[np.float64]:
    """Return the graph's bounding box (2, 2) in x, y metres: low corner, high corner."""
    return np.stack([graph.xy.min(axis=0), graph.xy.max(axis=0)])


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
            f"routes: {config.routes} distinct routes are needed, got {len(rows)} from {config.proposals} proposals"
            f" over {graph.length_m.sum() / 1000.0:.1f} km of ways;"
            " lower `routes`, or raise `proposals` or `max_jaccard`"
        )
    return measure(graph, around, proposed.take(rows))


def _swap(new: Path, root: Path) -> None:
    """Rename `new` to `root`, and delete the previous `root` afterwards.

    The live item features lie inside the world and are copied into the new world. They are stored by item key, so an
    item that is closed now stays closed.
    """
    old = root.with_name(f".{root.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if root.exists():
        live = World(root).live
        with file_lock(live.with_name(f".{live.name}.lock")):  # the lock that `rankway features set` takes
            if settled(live).is_dir():
                shutil.copytree(settled(live), World(new).live)
            root.rename(old)
            new.rename(root)
    else:
        new.rename(root)
    shutil.rmtree(old, ignore_errors=True)
