"""Parts that several releases in a process use are loaded once. They are kept as long as a release uses them.

A swap then loads only the parts that differ. This matters because a load competes with requests for the processor and
for the GIL. Two parts are the same if their files are the same. Staging makes hard links, so a catalogue or model that
did not change has the same files in both releases.
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
    """Return the path, device, inode, size and modification time, in nanoseconds, of each file in a folder.

    The result is empty if ``folder`` is not a folder.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            files.append((str(path.relative_to(folder)), *identity))
    return tuple(files)


class SharedParts:
    """The stores, catalogues and models in use, and their metrics. Only one thread at a time may use this object.

    Attributes:
        row_metrics: counts stored rows that cannot be read, and refreshed folders.
        histories: counts look-ups in the history cache.
        stores: the open feature stores.
    """

    def __init__(
        self,
        load: LoadRuntime = load_runtime,
        row_metrics: RowMetrics | None = None,
        histories: LookupCounts | None = None,
    ) -> None:
        """Start without any part.

        Args:
            load: opens the models.
            row_metrics: counts stored rows that cannot be read, and refreshed folders.
            histories: counts look-ups in the history cache.
        """
        self._load = load
        self.row_metrics = row_metrics
        self.histories = histories or NoCounts()
        self.stores = SharedStores()
        self._catalogues: _LoadedParts[Catalogue] = _LoadedParts()
        self._scorers: _LoadedParts[ModelScorer] = _LoadedParts()

    def catalogue(self, root: Path) -> Catalogue:
        """Return the catalogue at ``root``, and open it if necessary.

        Raises:
            ArtifactError: as for ``Catalogue.open``.
        """
        return self._catalogues.get(root, (), partial(Catalogue.open, root))

    def scorer(self, config: ModelConfig, catalogue: Catalogue, home: Path) -> ModelScorer:
        """Return the model's scorer for this catalogue object, and load the model if necessary.

        Raises:
            ModelError: as for ``ModelScorer``.
        """
        # A scorer refers to its catalogue. While the scorer lives, no other catalogue can have this id.
        key = id(catalogue), config.model_dump_json(exclude={"artifact"})
        return self._scorers.get(
            settled(home / config.artifact), key, partial(ModelScorer, config, catalogue, home, self._load)
        )


class _LoadedParts(Generic[Shared]):
    """Loaded parts by their files and origin. An origin is a key for everything else that a part was made from."""

    def __init__(self) -> None:
        self._by_key: weakref.WeakValueDictionary[Hashable, Shared] = weakref.WeakValueDictionary()

    def get(self, root: Path, origin: Hashable, load: Callable[[], Shared]) -> Shared:
        files = files_of(root)
        part = self._by_key.get((files, origin))
        if part is None:
            part = load()
            if (
                files_of(root) == files
            ):  # otherwise the folder changed during the load, and the part may mix old and new files
                self._by_key[files, origin] = part
        return part
