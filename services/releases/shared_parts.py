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
from models.features.deltas.folder import DeltaFolder
from models.runtimes import load_cut_runtime, load_runtime
from services.stages.popularity_order import BaseOrders
from services.stages.scoring.history_cache import LookupCounts, NoCounts
from services.stages.scoring.scorer import ModelConfig, ModelScorer
from services.stages.scoring.turns import LoadCutRuntime, LoadRuntime, cut_with_turns, with_turns
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
        orders: the items of the catalogues in the order of their popularity.
        stores: the open feature stores.
        model_threads: the number of threads that run the models.
    """

    def __init__(
        self,
        load: LoadRuntime = load_runtime,
        row_metrics: RowMetrics | None = None,
        histories: LookupCounts | None = None,
        model_threads: int = 1,
    ) -> None:
        """Start without any part.

        Args:
            load: opens the models.
            row_metrics: counts stored rows that cannot be read, and refreshed folders.
            histories: counts look-ups in the history cache.
            model_threads: the number of threads that run the models. A model with fewer instances is used in turns.
        """
        self._load, self.model_threads = load, model_threads
        self.row_metrics = row_metrics
        self.histories = histories or NoCounts()
        self.orders = BaseOrders()
        self.stores = SharedStores()
        self._catalogues: _LoadedParts[Catalogue] = _LoadedParts()
        # A grown catalogue refers to its base. While it lives, no other catalogue can have the base's id.
        self._newest: weakref.WeakValueDictionary[tuple[int, Path], Catalogue] = weakref.WeakValueDictionary()
        self._scorers: _LoadedParts[ModelScorer] = _LoadedParts()

    def catalogue(self, root: Path, deltas: Path | None = None) -> Catalogue:
        """Return the catalogue at ``root`` with its deltas from the folder ``deltas``, and open it if necessary.

        Raises:
            ArtifactError: as for ``Catalogue.open`` and ``DeltaFolder.applied``.
        """
        base = self._catalogues.get(root, (), partial(Catalogue.open, root))
        return (
            base if deltas is None or not deltas.is_dir() else self.grown(base, DeltaFolder.of(base, deltas))
        )

    def grown(self, catalogue: Catalogue, deltas: DeltaFolder) -> Catalogue:
        """Return the catalogue with all deltas that are in the folder now.

        Raises:
            ArtifactError: a delta is missing or damaged, or does not fit the catalogue.
        """
        key = id(catalogue.base), deltas.root
        newest = self._newest.get(key, catalogue)
        self._newest[key] = grown = deltas.applied(newest if newest.has_state(catalogue.state) else catalogue)
        return grown

    def scorer(self, config: ModelConfig, catalogue: Catalogue, home: Path) -> ModelScorer:
        """Return the model's scorer for this catalogue object, and load the model if necessary.

        Raises:
            ModelError: as for ``ModelScorer``.
        """
        load = with_turns(self._load, config.instances, self.model_threads)
        # A scorer refers to its catalogue. While the scorer lives, no other catalogue can have this id.
        key = id(catalogue.base), config.model_dump_json(exclude={"artifact"})
        scorer = self._scorers.get(
            settled(home / config.artifact), key, partial(ModelScorer, config, catalogue, home, load)
        )
        return scorer if scorer.catalogue is catalogue else scorer.over(catalogue)

    def load_cut(self, config: ModelConfig) -> LoadCutRuntime:
        """Return the function that loads the model cut in two."""
        return cut_with_turns(load_cut_runtime, config.instances, self.model_threads)


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
