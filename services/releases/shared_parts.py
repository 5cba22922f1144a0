"""What releases of one process have in common is loaded once, and kept while one of them uses it.

A swap then costs what it changes: requests share the processor, and the interpreter's lock, with whoever loads. What is
the same are the same files: staging makes hard links, so that a catalogue or a model that two releases name is one.
"""

import weakref
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from services.stages.scoring.history_cache import LookupCounts, NoCounts
from services.stages.scoring.scorer import LoadRuntime, ModelConfig, ModelScorer
from services.stores.shared import SharedStores
from services.telemetry.features import RowMetrics

Shared = TypeVar("Shared")
Files = tuple[tuple[str, int, int, int, int], ...]


def files_of(folder: Path) -> Files:
    """Return name, device, inode, size and time of change of each file of a folder; none if it is no folder."""
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            files.append((str(path.relative_to(folder)), *identity))
    return tuple(files)


class SharedParts:
    """The stores, catalogues and models that are in use, and the metrics. Used by one thread at a time."""

    def __init__(
        self,
        load: LoadRuntime = load_runtime,
        row_metrics: RowMetrics | None = None,
        histories: LookupCounts | None = None,
    ) -> None:
        """Start with none.

        load: opens the models. row_metrics: count stored rows that cannot be read, and refreshed folders. histories:
        counts look-ups in the history cache.
        """
        self._load = load
        self.row_metrics = row_metrics
        self.histories = histories or NoCounts()
        self.stores = SharedStores()
        self._catalogues: _Kept[Catalogue] = _Kept()
        self._scorers: _Kept[ModelScorer] = _Kept()

    def catalogue(self, root: Path) -> Catalogue:
        """Return the catalogue at ``root``, open already or opened now.

        Raises:
            ArtifactError: as ``Catalogue.open``.
        """
        return self._catalogues.get(root, (), partial(Catalogue.open, root))

    def scorer(self, config: ModelConfig, catalogue: Catalogue, home: Path) -> ModelScorer:
        """Return the model over this very catalogue, loaded already or now.

        Raises:
            ModelError: as ``ModelScorer``.
        """
        # A scorer holds its catalogue: as long as it lives, no other catalogue has this id.
        key = id(catalogue), config.model_dump_json(exclude={"artifact"})
        return self._scorers.get(
            settled(home / config.artifact), key, partial(ModelScorer, config, catalogue, home, self._load)
        )


class _Kept(Generic[Shared]):
    """Parts by their files, and by what else they were made of."""

    def __init__(self) -> None:
        self._by_key: weakref.WeakValueDictionary[Hashable, Shared] = weakref.WeakValueDictionary()

    def get(self, root: Path, origin: Hashable, load: Callable[[], Shared]) -> Shared:
        files = files_of(root)
        part = self._by_key.get((files, origin))
        if part is None:
            part = load()
            if files_of(root) == files:  # else it was replaced meanwhile, and belongs to neither
                self._by_key[files, origin] = part
        return part
