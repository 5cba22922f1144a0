"""Refresh: overlay and live item features are opened anew when their folders were replaced, while requests go on.

One thread a release looks at the folders' index files; what cannot be used is logged once and the former one kept.
A batch reads what it needs of either once, so that it never sees two.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from models.atomic_directory import settled
from models.errors import ArtifactError
from models.features.live import INDEX as LIVE_INDEX
from models.features.live import LiveColumns, LiveItems
from models.features.overlay import INDEX as OVERLAY_INDEX
from models.features.overlay import Overlay
from models.features.view import FeatureView
from services.periodic import PeriodicThread
from services.telemetry.features import RowMetrics

logger = logging.getLogger("ray.serve")
_TRIES = 3

Identity = tuple[int, int, int] | None
"""Device, inode and change time of a folder's index: another one when the folder was replaced."""


@dataclass
class Watched:
    """One folder, how it is opened into the view, and the index that was opened, or refused, last."""

    name: str
    root: Path
    index: str
    take: Callable[[Path], None]
    seen: Identity = field(default=None)
    taken: Identity = field(default=None)
    """The index of what the view has; set once it has it."""

    @property
    def identity(self) -> Identity:
        """What the index file is now; None while there is none."""
        return _identity(settled(self.root) / self.index)

    def open(self) -> None:
        """Open the folder as it is now; what was taken before stays where it cannot be used.

        Raises:
            ArtifactError: it cannot be used.
        """
        for attempt in range(_TRIES):
            try:
                with _held(settled(self.root)) as folder:
                    self.seen = _identity(folder / self.index)
                    self.take(folder)
                self.taken = self.seen
                return
            except ArtifactError as error:
                if self.identity == self.seen or attempt == _TRIES - 1:
                    raise type(error)(str(error).replace(str(folder), str(self.root))) from error
                # else it was replaced, and its files deleted, while it was read


def _identity(index: Path) -> Identity:
    try:
        status = index.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextmanager
def _held(root: Path) -> Iterator[Path]:
    """Give a path to this very folder, whichever takes its name meanwhile: files of two are never mixed."""
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield root  # none there: opening what it should hold says so
        return
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def watched_folders(view: FeatureView, overlay: Path | None, live: Path | None) -> list[Watched]:
    """Give what is to be watched for ``view``; both are opened by ``Watched.open``."""
    folders = []
    if overlay is not None:
        folders.append(Watched("overlay", overlay, OVERLAY_INDEX, partial(_take_overlay, view)))
    if live is not None:
        folders.append(Watched("live", live, LIVE_INDEX, partial(_take_live, view)))
    return folders


def _take_overlay(view: FeatureView, root: Path) -> None:
    view.overlay = Overlay.open(root, view.features)


def _take_live(view: FeatureView, root: Path) -> None:
    view.live = LiveColumns(LiveItems.open(root, view.features), view.features, view.catalogue)


class Refresher:
    """The thread that keeps a view's folders fresh."""

    def __init__(self, folders: list[Watched], period_s: float, metrics: RowMetrics | None) -> None:
        """Start looking every ``period_s``, if there is anything to look at."""
        self._folders = folders
        self._metrics = metrics
        self._thread = PeriodicThread(
            self._look, period_s, name="refresh", failure="folders could not be refreshed"
        )
        if folders:
            self._thread.start()

    @property
    def taken(self) -> tuple[Identity, ...]:
        """Say which folders the view has: another value once it has a newer one."""
        return tuple(folder.taken for folder in self._folders)

    def stop(self) -> None:
        """Stop looking, soon."""
        self._thread.stop()

    def close(self) -> None:
        """Stop looking, now."""
        self._thread.close()

    def _look(self) -> None:
        for folder in self._folders:
            # Gone for the moment in which it is replaced, or for good: the former one stays.
            if folder.identity not in (None, folder.seen):
                self._refresh(folder)

    def _refresh(self, folder: Watched) -> None:
        try:
            folder.open()
        except Exception as error:  # nothing on disk may end this thread
            logger.error(
                "features.%s: the new folder cannot be used, so the old one stays: %s", folder.name, error
            )
            outcome = "refused"
        else:
            outcome = "taken"
        if self._metrics is not None:
            self._metrics.refreshed(folder.name, outcome)
