"""Options that several commands of ``rankway catalogue`` have."""

from collections.abc import Sequence
from typing import Annotated

import typer

ItemsArgument = Annotated[
    str,
    typer.Argument(
        help="Items: CSV, Parquet or JSON lines. A file, a folder or a URL, one row for each item."
    ),
]
IdOption = Annotated[str, typer.Option("--id", help="Column with the ids.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", help="NAME=COLUMN: the table's column for the feature NAME. May be repeated."),
]
PositionOption = Annotated[
    str | None,
    typer.Option("--position", help="LAT,LON: the columns with latitude and longitude in degrees."),
]
DetailsOption = Annotated[
    str | None, typer.Option("--details", help="Column with whole details, as JSON objects such as GeoJSON.")
]
SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Skip rows that cannot be read, count them and list them.")
]


def renamed_columns(options: Sequence[str]) -> dict[str, str]:
    """Return the columns of the table by name of the feature.

    Raises:
        typer.BadParameter: an option has another form, or a name is given twice.
    """
    pairs = [option.partition("=") for option in options]
    for option, (name, _, column) in zip(options, pairs, strict=True):
        if not name or not column:
            raise typer.BadParameter(f"--column: expected NAME=COLUMN, got {option!r}")
    names = [name for name, _, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise typer.BadParameter(f"--column: {name} is given twice; name one column")
    return {name: column for name, _, column in pairs}


def position_columns(option: str | None) -> tuple[str, str] | None:
    """Return the columns with latitude and longitude.

    Raises:
        typer.BadParameter: the option does not have two names.
    """
    if option is None:
        return None
    names = [name.strip() for name in option.split(",")]
    if len(names) != 2 or not all(names):
        raise typer.BadParameter(f"--position: expected LAT,LON, got {option!r}")
    return names[0], names[1]
