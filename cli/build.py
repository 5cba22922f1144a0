"""``rankway build CONFIG``: build a pipeline's catalogue, feature definitions, lists and users from its events."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.errors import FAILED, exit_on_error, print_left_out, print_warning
from cli.progress import Report, shown_progress
from models.datasets.config import EventsConfig
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory

_MOST_CELLS = 200_000_000
"""Validation scores every item for each list, and has its numbers in memory."""


def build(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file with a part `training.events`.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip rows that cannot be read, count them and list them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Build a pipeline's catalogue, features and lists from events. Does nothing if all is up to date.

    The data is written completely or not at all. Users are loaded into the feature store afterwards.
    """
    console = Console(stderr=True)
    remedy = f"the previous data is intact; make room under {home_directory()} and run the command again"
    with exit_on_error(console, OSError, remedy=remedy, exit_code=FAILED):
        pipeline = load_config(config)
        if pipeline.training is None or pipeline.training.events is None:
            raise ConfigError(
                f"missing in {config}; `rankway new NAME --events FILE` writes one",
                field="training.events",
            )
        manifest = build_events(
            pipeline, pipeline.training.events, home_directory(), console, skip_bad=skip_bad
        )
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
        return
    for line in _summary(manifest):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def build_events(
    pipeline: PipelineConfig, events: EventsConfig, home: Path, console: Console, *, skip_bad: bool = False
) -> dict[str, Any]:
    """Build the event data of a pipeline into the catalogue's folder, unless it is up to date, and load its users.

    Returns:
        The manifest, and the counts of files that were read for it now.

    Raises:
        ConfigError: the pipeline names other paths than those that are built.
        ArtifactError: the events cannot be read.
        ServiceError: the users cannot be loaded into the store.
    """
    from models.datasets.build import EventData
    from models.datasets.updating import ensure_event_data

    assert pipeline.training is not None
    data = EventData(home / Path(pipeline.catalogue).parent)
    expected = [str(path.relative_to(home)) for path in (data.catalogue, data.definitions, data.impressions)]
    if expected != [pipeline.catalogue, pipeline.features.definitions, pipeline.training.data]:
        raise ConfigError(
            f"builds {', '.join(expected)}, but the pipeline names other paths; set catalogue, "
            f"features.definitions and training.data to these",
            field="training.events",
        )
    located = _located(events, home)
    with shown_progress(console) as progress:
        update = ensure_event_data(located, data, skip_bad=skip_bad, progress=progress)
    console.print(
        f"{events.name}: {'built' if update.is_built else 'up to date'}, {data.root}", soft_wrap=True
    )
    manifest: dict[str, Any] = json.loads(data.manifest.read_text())
    if update.files is not None:
        console.print(f"  {update.files}, {manifest['events']:,} events", highlight=False)
    if data.users.is_file() and pipeline.features.store is not None:
        with shown_progress(console) as progress:
            _load_users(pipeline, data.users, manifest["stamp"], home, progress)
    _warn(pipeline, manifest, data.skipped, console)
    return manifest if update.files is None else manifest | {"files": asdict(update.files)}


def timelines_of(pipeline: PipelineConfig, home: Path) -> Path | None:
    """Return the folder with the item columns as of earlier times. None if they do not come from events."""
    from models.datasets.build import EventData

    events = None if pipeline.training is None else pipeline.training.events
    if events is None or not events.has_lists:
        return None
    return EventData(home / Path(pipeline.catalogue).parent).timelines


def _located(events: EventsConfig, home: Path) -> EventsConfig:
    """Return the configuration with absolute paths. Relative paths are below the home."""
    if events.files is None:
        return events
    places = {
        name: place if "://" in place or "::" in place else str(home / Path(place).expanduser())
        for name, place in events.files.model_dump(exclude_none=True).items()
    }
    return events.model_copy(update={"files": events.files.model_copy(update=places)})


def _load_users(pipeline: PipelineConfig, users: Path, stamp: str, home: Path, report: Report) -> None:
    """Load the users into the store, unless that was done. An interrupted load continues."""
    from services.stages.features import load_definitions
    from services.stores import open_writer
    from services.stores.loading import LoadCheckpoint, load
    from services.stores.sources import open_source

    store = pipeline.features.store
    assert store is not None
    done = users.parent / "users.loaded"
    identity = f"{stamp} {store.model_dump_json()}"
    if done.is_file() and done.read_text() == identity:
        return
    source = open_source(users, load_definitions(home / pipeline.features.definitions))
    writer = open_writer(store, home)
    try:
        load(
            source,
            writer,
            LoadCheckpoint(users, identity),
            lambda rows, total: report("loading the users", rows, total),
        )
    finally:
        writer.close()
    done.write_text(identity)


def _warn(pipeline: PipelineConfig, manifest: dict[str, Any], skipped: Path, console: Console) -> None:
    for note in manifest.get("notes", ()):
        print_warning(console, note)
    print_left_out(console, manifest.get("skipped", {}))
    if skipped.is_file():
        print_warning(console, f"the rows that were left out are listed in {skipped}")
    training = pipeline.training
    assert training is not None
    if "valid" not in manifest:
        return
    lists = min(training.max_valid_lists or manifest["valid"]["moments"], manifest["valid"]["moments"])
    if training.over_catalogue is not None and lists * manifest["items"] > _MOST_CELLS:
        most = max(2, _MOST_CELLS // manifest["items"])
        print_warning(
            console,
            f"training.max_valid_lists: {lists:,} lists of {manifest['items']:,} items need much memory; set it to "
            f"{most}",
        )


def _summary(manifest: dict[str, Any]) -> list[str]:
    counted = [name for name in ("events", "shown", "users", "items") if name in manifest]
    words = {"shown": "shown lists"}
    lines = ["  " + ", ".join(f"{manifest[name]:,} {words.get(name, name)}" for name in counted)]
    lines += [
        f"  {split:<6} {manifest[split][of]:>12,} {of} {manifest[split]['moments']:>12,} lists"
        for split in ("train", "valid", "test")
        for of in ("events", "items")
        if split in manifest and of in manifest[split]
    ]
    return lines
