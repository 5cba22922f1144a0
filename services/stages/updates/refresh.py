"""Refresh: if the folders of overlay or live item features are replaced, they are opened again during serving.

One thread per release checks the folders' index files. If a new folder cannot be used, this is logged once and the
previous one stays in use. A batch reads all columns that it needs from a folder at once, so it never mixes two
versions.
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
"""An index file's device, inode and modification time. They differ after its folder was replaced."""


@dataclass
class WatchedFolder:
    """A folder that is opened into the view.

    Attributes:
        name: "overlay" or "live".
        root: the folder.
        index: its index file's name.
        take: opens the folder into the view.
        seen: the identity of the index that was last opened or refused.
        opened_identity: the identity of the index that the view has.
    """

    name: str
    root: Path
    index: str
    take: Callable[[Path], None]
    seen: Identity = field(default=None)
    opened_identity: Identity = field(default=None)
    """None until the view has opened the folder."""

    @property
    def identity(self) -> Identity:
        """The index file's present identity. None if the file is missing."""
        return _identity(settled(self.root) / self.index)

    def open(self) -> None:
        """Open the folder as it is now. If it cannot be used, the view keeps the previous one.

        Raises:
            ArtifactError: the folder cannot be used.
        """
        for attempt in range(_TRIES):
            try:
                with _pinned(settled(self.root)) as folder:
                    self.seen = _identity(folder / self.index)
                    self.take(folder)
                self.opened_identity = self.seen
                return
            except ArtifactError as error:
                if self.identity == self.seen or attempt == _TRIES - 1:
                    raise type(error)(str(error).replace(str(folder), str(self.root))) from error
                # else the folder was replaced, and its files deleted, during reading


def _identity(index: Path) -> Identity:
    try:
        status = index.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextmanager
def _pinned(root: Path) -> Iterator[Path]:
    """Yield a path that leads to this folder even if another folder takes its name, so files never mix."""
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield root  # the folder is missing, and opening it will raise the error
        return
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def watched_folders(view: FeatureView, overlay: Path | None, live: Path | None) -> list[WatchedFolder]:
    """Return the folders to watch for ``view``. ``WatchedFolder.open`` opens each of them."""
    folders = []
    if overlay is not None:
        folders.append(WatchedFolder("overlay", overlay, OVERLAY_INDEX, partial(_take_overlay, view)))
    if live is not None:
        folders.append(WatchedFolder("live", live, LIVE_INDEX, partial(_take_live, view)))
    return folders


def _take_overlay(view: FeatureView, root: Path) -> None:
    view.overlay = Overlay.open(root, view.features)


def _take_live(view: FeatureView, root: Path) -> None:
    view.live = LiveColumns(LiveItems.open(root, view.features), view.features, view.catalogue)


class Refresher:
    """The thread that keeps a view's folders up to date."""

    def __init__(self, folders: list[WatchedFolder], period_s: float, metrics: RowMetrics | None) -> None:
        """Check the folders every ``period_s`` seconds, if there are any."""
        self._folders = folders
        self._metrics = metrics
        self._thread = PeriodicThread(
            self._look, period_s, name="refresh", failure="folders could not be refreshed"
        )
        if folders:
            self._thread.start()

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The folders' identities in the view. They change when the view gets a newer folder."""
        return tuple(folder.opened_identity for folder in self._folders)

    def stop(self) -> None:
        """Stop checking, without waiting for the thread."""
        self._thread.stop()

    def close(self) -> None:
        """Stop checking, and wait for the thread."""
        self._thread.close()

    def _look(self) -> None:
        for folder in self._folders:
            # The folder may be missing while it is replaced, or for good. The previous folder's content stays in use.
            if folder.identity not in (None, folder.seen):
                self._refresh(folder)

    def _refresh(self, folder: WatchedFolder) -> None:
        try:
            folder.open()
        except Exception as error:  # no fault on disk may end this thread
            logger.error(
                "features.%s: the new folder cannot be used, so the old one stays: %s", folder.name, error
            )
            outcome = "refused"
        else:
            outcome = "taken"
        if self._metrics is not None:
            self._metrics.refreshed(folder.name, outcome)
