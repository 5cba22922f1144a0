"""``rankway catalogue compact``: write a catalogue with its deltas as a new catalogue without deltas."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.errors import FAILED, exit_on_error

if TYPE_CHECKING:
    from models.features.catalogue import Catalogue
    from models.features.catalogue_in_chunks import Items

_AT_ONCE = 65_536


def compact(config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")]) -> None:
    """Fold the deltas into a new catalogue, in the place that the pipeline names. Its version changes.

    Running services keep the old one with its deltas until they start again, or until a release with the new one is
    staged and activated.
    """
    from cli.catalogue.served import open_served
    from models.features.catalogue_in_chunks import write_catalogue_in_chunks
    from models.features.deltas.folder import DeltaFolder

    console = Console(stderr=True)
    with exit_on_error(
        console, OSError, remedy="the previous catalogue is intact; make room", exit_code=FAILED
    ):
        served = open_served(config)
        catalogue = DeltaFolder.of(served.catalogue, served.deltas).applied(served.catalogue)
        if not catalogue.state:
            console.print(
                f"catalogue {catalogue.manifest.name} {catalogue.label} has no deltas", highlight=False
            )
            return
        target = served.home / served.config.catalogue
        old = catalogue.manifest
        manifest = write_catalogue_in_chunks(
            target.resolve(),
            _chunks(catalogue),
            name=old.name,
            features=served.definitions,
            position_column=old.position_column,
            attribution=old.attribution,
        )
    after = f"{manifest.version}, {manifest.item_count:,} items: {target}"
    console.print(
        f"catalogue {old.name} {catalogue.label} is now {after}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _chunks(catalogue: "Catalogue") -> "Iterator[Items]":
    import numpy as np

    from models.features.catalogue_in_chunks import Items

    rows = np.delete(np.arange(len(catalogue)), catalogue.dead)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        yield Items(
            ids=[catalogue.ids[row] for row in some.tolist()],
            columns={name: column[some] for name, column in catalogue.columns.items()},
            details=[catalogue.details(row) for row in some.tolist()],
        )
