"""``rankway catalogue build``: a catalogue from a table of items, without events."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.catalogue.options import (
    ColumnOption,
    DetailsOption,
    IdOption,
    ItemsArgument,
    PositionOption,
    SkipBadOption,
    position_columns,
    renamed_columns,
)
from cli.errors import BAD_INPUT, exit_on_error, print_left_out, print_warning
from cli.progress import shown_progress
from models.errors import ArtifactError

if TYPE_CHECKING:
    from models.datasets.files.problems import BadRows
    from models.datasets.files.tables import Table
    from models.datasets.items.definitions import Inferred
    from models.features.definition import FeatureSet

_POSITION = "position"


def build(
    items: ItemsArgument,
    out: Annotated[Path, typer.Argument(help="Folder to write, or to replace.")],
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Feature definitions, whose item features the table has."),
    ] = None,
    infer: Annotated[
        Path | None,
        typer.Option("--infer", help="Write definitions that fit the table to this file, and use them."),
    ] = None,
    item_id: IdOption = "id",
    column: ColumnOption = None,
    position: PositionOption = None,
    position_feature: Annotated[
        str | None,
        typer.Option(
            "--position-feature", help="Item feature with latitude and longitude. Default: position."
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="Text column that the details show. May be repeated.")
    ] = None,
    details: DetailsOption = None,
    name: Annotated[str | None, typer.Option("--name", help="The catalogue's name. Default: OUT's.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Default: a hash of the content.")] = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Build a catalogue from a table with one row for each item. It is written completely or not at all."""
    from models.datasets.files.problems import BadRows
    from models.datasets.files.tables import open_table
    from models.datasets.items.building import build_catalogue, choice_of

    console, renamed, place = Console(stderr=True), renamed_columns(column or []), position_columns(position)
    texts, bad = text or [], BadRows(skip=skip_bad)
    with exit_on_error(console, OSError, exit_code=BAD_INPUT):
        if (features is None) == (infer is None):
            raise ArtifactError(
                "--features: name the feature definitions, or let --infer FILE write some that fit the table"
            )
        table = open_table(items)
        if infer is not None:
            found = _infer(table, item_id, infer, bad, console)
            definitions, renamed = found.features, {**found.renamed, **renamed}
            place, texts = place or found.position, texts or list(found.texts)
        else:
            assert features is not None
            definitions = _read(features)
        where = position_feature or (_POSITION if _has(definitions, _POSITION) else None)
        if place is not None and where is None:
            raise ArtifactError(
                "--position: the definitions have no item feature of shape (2,) named position; name it with "
                "--position-feature"
            )
        if where is not None and not _has(definitions, where):
            raise ArtifactError(f"--position-feature: must be an item feature of shape (2,), got {where!r}")
        choice = choice_of(
            definitions, table, item_id, renamed=renamed, position=place, position_feature=where, texts=texts,
            details=details,
        )  # fmt: skip
        with shown_progress(console) as progress:
            manifest = build_catalogue(
                out.resolve(), table, choice, definitions, bad, progress, name=name or out.resolve().name,
                version=version, position_column=where,
            )  # fmt: skip
    print_left_out(console, bad.counts)
    unused = [column for column in table.columns if column not in choice.sources]
    if unused:
        console.print(f"columns that are not read: {', '.join(unused)}", markup=False, highlight=False)
    console.print(
        f"catalogue {manifest.name} {manifest.version}: {manifest.item_count:,} items, {out}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _infer(table: "Table", item_id: str, target: Path, bad: "BadRows", console: Console) -> "Inferred":
    import yaml

    from models.datasets.items.definitions import inferred
    from models.durable import write_file

    found = inferred(table, item_id, bad)
    for guess in found.guesses:
        console.print(
            f"  {guess.column}: {guess.role} ({guess.reason})", markup=False, highlight=False, soft_wrap=True
        )
    if found.left_out:
        print_warning(
            console,
            f"categories are left out: {', '.join(found.left_out)}; `rankway new --items` makes features of them, "
            f"together with events",
        )
    write_file(target, yaml.safe_dump(found.features.model_dump(mode="json"), sort_keys=False))
    return found


def _read(path: Path) -> "FeatureSet":
    from services.stages.features import load_definitions

    return load_definitions(path)


def _has(definitions: "FeatureSet", name: str) -> bool:
    return any(feature.name == name and feature.shape == (2,) for feature in definitions.group("item"))
