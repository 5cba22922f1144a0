"""``rankway catalogue add`` and ``remove``: change the items of a served catalogue."""

from collections.abc import Callable
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
    from cli.catalogue.served import Served
    from models.features.catalogue import Catalogue
    from models.features.deltas.delta import Delta

ConfigArgument = Annotated[Path, typer.Argument(help="Pipeline YAML file.")]


def add(
    config: ConfigArgument,
    items: ItemsArgument,
    item_id: IdOption = "id",
    column: ColumnOption = None,
    position: PositionOption = None,
    details: DetailsOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Add items to a served catalogue, or change items that it has. Running services take them within seconds.

    The columns have the catalogue's names. A changed item keeps the values that its row lacks, and a new item has the
    defaults of the feature definitions.
    """
    from cli.catalogue.served import open_served
    from models.datasets.files.problems import BadRows
    from models.datasets.files.tables import open_table
    from models.datasets.items.changes import choice_for, delta_from

    console, renamed, place = Console(stderr=True), renamed_columns(column or []), position_columns(position)
    with exit_on_error(console, OSError, exit_code=BAD_INPUT):
        served, table, bad = open_served(config), open_table(items), BadRows(skip=skip_bad)

        def make(catalogue: "Catalogue") -> "Delta":
            choice = choice_for(
                catalogue,
                served.definitions,
                table,
                item_id,
                renamed=renamed,
                position=place,
                details=details,
            )
            unused = [name for name in table.columns if name not in choice.sources]
            if unused:
                console.print(
                    f"columns that are not read: {', '.join(unused)}", markup=False, highlight=False
                )
            with shown_progress(console) as progress:
                return delta_from(table, choice, catalogue, served.definitions, bad, progress)

        _write(served, make, console)
    print_left_out(console, bad.counts)
    for line in bad.listed[:5]:
        print_warning(console, line)


def remove(
    config: ConfigArgument,
    ids: Annotated[list[str] | None, typer.Argument(help="Item ids.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="File with one id per line.")] = None,
) -> None:
    """Remove items from a served catalogue. Running services no longer show them within seconds."""
    from cli.catalogue.served import open_served
    from models.datasets.items.changes import removal_of

    console = Console(stderr=True)
    with exit_on_error(console, OSError, exit_code=BAD_INPUT):
        named = [*(ids or ()), *([] if file is None else _lines(file))]
        if not named:
            raise ArtifactError("ids: none was given; name ids, or a file of ids with --file")
        _write(open_served(config), lambda catalogue: removal_of(catalogue, named), console)


def _write(served: "Served", make: "Callable[[Catalogue], Delta]", console: Console) -> None:
    from services.stages.updates.item_changes import change_items

    written = change_items(served.catalogue, served.deltas, served.config.candidates, make, served.check_rows)
    counts = [f"{count:,} {word}" for count, word in (
        (written.added, "added"), (written.changed, "changed"), (written.removed, "removed")) if count]  # fmt: skip
    console.print(
        f"catalogue {written.catalogue.manifest.name} {written.catalogue.label}: {', '.join(counts) or 'no'} items, "
        f"{written.catalogue.item_count:,} in all, {written.path} ({written.path.stat().st_size:,} bytes)",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    if served.other is not None:
        print_warning(
            console,
            f"catalogue: release {served.release} is active and serves version {served.catalogue.manifest.version}, "
            f"but {served.home / served.config.catalogue} has version {served.other}, which does not get these items; "
            f"make the change again after that version is staged and active",
        )


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ArtifactError(
            f"{file}: cannot be read, because byte {error.start} is no UTF-8; save it as UTF-8"
        ) from error
    return [line.strip() for line in lines if line.strip()]
