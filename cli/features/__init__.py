"""``rankway features``: load a pipeline's feature store, set live item features, and export data."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import FAILED, exit_on_error
from cli.features.export import export
from cli.progress import shown_progress
from models.atomic_directory import settled
from models.features.deltas.folder import open_grown
from services.config.loading import load_config
from services.errors import ConfigError, ServiceError, StoreLost
from services.paths import home_directory
from services.stages.features import load_definitions
from services.stages.updates.live_folder import LiveFolder
from services.stages.updates.live_items import set_live
from services.stores import open_writer
from services.stores.kinds.registry import StoreConfig
from services.stores.loading import LoadCheckpoint, LoadReport, load_all
from services.stores.sources import open_source

app = typer.Typer(
    help="Load user features; set live item features; export data.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Load user features; set live item features; export data."""


app.command()(export)


@app.command("load")
def load_files(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file. The rows go to its features.store.")],
    files: Annotated[list[Path], typer.Argument(help="Parquet files, or folders of embedded (LMDB) stores.")],
) -> None:
    """Load user features into the store. A load that was interrupted resumes.

    A Parquet file needs a column user_id and one column per feature.
    """
    console = Console(stderr=True)
    with exit_on_error(console):
        try:
            loads = _load(config, files, console)
        except ServiceError as error:
            if not isinstance(error, ConfigError | StoreLost):
                error.add_note("Run the command again: the load resumes where it stopped.")
            raise
    for path, loaded in loads.items():
        for fault in loaded.faults:
            console.print(fault, markup=False, highlight=False, soft_wrap=True)
        earlier = f", {loaded.resumed} rows were already loaded by an earlier run" if loaded.resumed else ""
        if loaded.lost:
            earlier = (
                f"; loaded from the beginning, because the store had lost some of the {loaded.lost} rows from an "
                f"earlier run"
            )
        refused = f", {loaded.refused} refused" if loaded.refused else ""
        console.print(
            f"{path}: {loaded.written} rows loaded{earlier}{refused}", highlight=False, soft_wrap=True
        )
    if any(loaded.refused for loaded in loads.values()):
        raise typer.Exit(FAILED)


@app.command("set")
def set_items(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file. Its features.live folder is written.")],
    setting: Annotated[str, typer.Argument(help="live.NAME=VALUE, or live.NAME=V,V,... for a vector.")],
    items: Annotated[list[str], typer.Argument(help="Item ids.")],
) -> None:
    """Set a live feature for items. Running services read it within features.refresh_s."""
    console = Console(stderr=True)
    name, _, text = setting.removeprefix("live.").partition("=")
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"SETTING: expected live.NAME=VALUE with a number, got {setting!r}"
        ) from None
    with exit_on_error(console):
        pipeline, home = load_config(config), home_directory()
        definitions = load_definitions(home / pipeline.features.definitions)
        folder = LiveFolder(home, pipeline.name, pipeline.features.live)
        value = numbers if "," in text else numbers[0]
        catalogue = open_grown(settled(home / pipeline.catalogue), home / pipeline.deltas_folder)
        set_live(folder, definitions, catalogue, name, value, items)
    console.print(f"live.{name} set to {text} for {len(set(items))} items", markup=False, highlight=False)


def _load(config: Path, files: list[Path], console: Console) -> dict[Path, LoadReport]:
    pipeline, home = load_config(config), home_directory()
    store = pipeline.features.store
    if store is None:
        raise ConfigError(f"missing in {config}; add a store", field="features.store")
    definitions = load_definitions(home / pipeline.features.definitions)
    sources = {path: open_source(path, definitions) for path in files}
    writer = open_writer(store, home)
    try:
        with shown_progress(console, *(path.name for path in sources)) as report:
            stamps = {path: f"{source.stamp()} {_identity(store)}" for path, source in sources.items()}
            loads = load_all(
                [
                    (source, LoadCheckpoint(path, stamps[path]), partial(report, path.name))
                    for path, source in sources.items()
                ],
                writer,
            )
    finally:
        writer.close()
    return dict(zip(sources, loads, strict=True))


def _identity(store: StoreConfig) -> str:
    """Return a hash that identifies the store.

    A hash keeps the store's settings, such as password variables' names, out of the checkpoint.
    """
    return hashlib.sha256(store.model_dump_json().encode()).hexdigest()[:16]
