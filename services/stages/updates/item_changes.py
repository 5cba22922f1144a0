"""Add, change and remove items of a served catalogue. Running replicas take them within ``features.refresh_s``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.features.catalogue import Catalogue
from models.features.deltas.delta import Delta
from models.features.deltas.folder import DeltaFolder
from models.features.deltas.grown import GrownCatalogue
from services.errors import ConfigError
from services.locks import file_lock
from services.stages.candidates import CandidatesConfig

_LOCK = ".lock"


@dataclass(frozen=True)
class Written:
    """A delta that was written.

    Attributes:
        catalogue: the catalogue with it.
        added: items that are new.
        changed: items that were there before.
    """

    path: Path
    catalogue: Catalogue
    added: int
    changed: int
    removed: int


def change_items(
    base: Catalogue,
    folder: Path,
    candidates: CandidatesConfig,
    make: Callable[[Catalogue], Delta],
    check: Callable[[Catalogue, int], None],
) -> Written:
    """Write the next delta of a catalogue. A second writer waits for the first.

    Args:
        base: the catalogue without deltas, or with some.
        folder: the folder with the deltas of all catalogues.
        candidates: the pipeline's source of candidates, which must still find enough items.
        make: returns the delta for the catalogue as it is now. It may raise any error.
        check: raises an error if the pipeline cannot use the rows of the catalogue from the given one on.

    Raises:
        ConfigError: too few items are left, or the folder cannot be written.
        ArtifactError: an earlier delta cannot be used.
    """
    deltas = DeltaFolder.of(base, folder)
    try:
        with file_lock(deltas.root / _LOCK):
            now = deltas.applied(base)
            delta = make(now)
            grown = GrownCatalogue(now, [(delta, delta.manifest(now.state, now.manifest.feature_hash))])
            _refuse_too_few(grown, candidates)
            check(grown, len(now))
            known = int((now.rows_of_keys(np.asarray(grown.keys[len(now) :])) >= 0).sum())
            path, _ = deltas.next_path(now), deltas.append(now, delta)
    except OSError as error:
        raise ConfigError(
            f"{deltas.root} cannot be written ({error}); free space, or grant write permission",
            field="deltas",
        ) from error
    return Written(path, grown, len(delta.ids) - known, known, len(delta.removed))


def _refuse_too_few(catalogue: Catalogue, candidates: CandidatesConfig) -> None:
    if catalogue.item_count < candidates.count:
        raise ConfigError(
            f"must be at most the number of items, which would be {catalogue.item_count}, got {candidates.count}; "
            f"lower it in the served pipeline first, or remove fewer items",
            field="candidates.count",
        )
