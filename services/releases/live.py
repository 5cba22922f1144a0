"""The releases that a replica has loaded: the active one, which serves new requests, and others still in use.

A release is loaded and warmed on a separate thread while the active one serves. Making it active is a single
assignment on the event loop. A request keeps the release with which it began. A release that is no longer wanted is
dropped when its last request has left. Its memory is freed with the last reference to it.
"""

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from models.errors import ModelError
from services.config.pipeline import PipelineConfig
from services.errors import ReleaseError, ReleaseMismatch, ServiceError
from services.locks import host_lock
from services.releases.background import complete_in_background, lower_priority
from services.releases.release import LiveRelease, Release
from services.releases.staging import ReleaseFolder
from services.releases.steps import Steps, complete

_LOCK_LIMIT_S = 60.0
"""How long a load waits for the loads of other replicas on this machine. After this time it starts anyway."""
Argument = TypeVar("Argument")
Status = dict[str, Any]
"""The answer to a command about releases: the active release, the loaded ones, and the last load that failed."""


class LiveReleases:
    """One replica's releases by name. Exactly one release is active.

    Only the event loop may use this object, except for ``get`` and ``loaded``.

    Attributes:
        active: the release for new requests.
        failed: the release whose load failed last, and the reason. None again after the next activation.
    """

    def __init__(
        self,
        config: PipelineConfig,
        home: Path,
        load: Callable[[PipelineConfig], Steps[LiveRelease]],
        grow: Callable[[Release], Steps[LiveRelease]] | None = None,
    ) -> None:
        """Load the release that is active on disk. If there is none, load the data that the configuration names.

        Args:
            config: the pipeline.
            home: the folder from which relative paths in the configuration start.
            load: loads and warms the data that a configuration names, in steps. It may raise any error.
            grow: makes a release again with all deltas of its catalogue, in steps. It may raise any error.

        Raises:
            ReleaseError: the release that is active on disk is missing, or has changed since it was staged.
        """
        self._config, self._load, self._grow = config, load, grow
        self._folder = ReleaseFolder(home, config.name, config.trust)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader", initializer=lower_priority)
        self._changing = asyncio.Lock()
        self._is_closed = False
        self.active = complete(self._steps(self._folder.history.active()))
        self._by_name = {self.active.name: self.active}
        self.failed: dict[str, str] | None = None
        gc.collect()
        gc.freeze()  # objects from the start-up stay. Objects of later releases must be collected

    @property
    def loaded(self) -> list[LiveRelease]:
        """The loaded releases. Any thread may read this."""
        return list(self._by_name.values())

    @property
    def names(self) -> list[str]:
        """The loaded releases' names."""
        return list(self._by_name)

    def get(self, name: str) -> LiveRelease:
        """Return a loaded release. Any thread may call this.

        Raises:
            ReleaseMismatch: the release is not loaded, or no longer loaded.
        """
        loaded = self._by_name.get(name)
        if loaded is None:
            raise ReleaseMismatch(
                f"release: this replica has loaded {', '.join(self._by_name)}, got {name}; send the request again "
                f"when all units run the same release",
                retry_after_s=1,
            )
        return loaded

    def enter(self, name: str | None = None) -> LiveRelease:
        """Count a request that starts to use the release ``name``, or the active one by default. ``leave`` must follow.

        Raises:
            ReleaseMismatch: the named release is not loaded.
        """
        loaded = self.active if name is None else self.get(name)
        loaded.users += 1
        return loaded

    def leave(self, loaded: LiveRelease) -> None:
        """Count a request that has stopped using the release."""
        loaded.users -= 1
        self._forget_if_unused(loaded)

    async def load(self, name: str) -> None:
        """Load and warm a staged release. The releases that are already loaded stay as they are.

        Raises:
            ReleaseError: the release cannot be loaded.
        """
        async with self._changing:
            if name in self._by_name:
                self._by_name[name].want()
                return
            try:
                loaded = await self._loaded(self._load_staged, name)
            except (
                Exception
            ) as error:  # damaged files and models can raise anything. The active release must stay
                expected = isinstance(error, ServiceError | ModelError)
                why = str(error) if expected else f"{type(error).__name__}: {error}"
                self.failed = {"release": name, "why": why}
                raise ReleaseError(f"release {name} cannot be loaded: {why}") from error
            self._by_name[name] = loaded

    async def activate(self, name: str) -> None:
        """Serve new requests with the named release, and load it first if necessary.

        The other releases stay loaded until ``keep_active`` is called.

        Raises:
            ReleaseError: the release cannot be loaded. The active one stays active.
        """
        await self.load(name)
        self.active = self._by_name[name]
        self.failed = None

    async def keep_active(self) -> None:
        """Drop each release except the active one as soon as its last request has left, and wait until all are gone."""
        leaving = [loaded for loaded in self._by_name.values() if loaded is not self.active]
        for loaded in leaving:
            loaded.is_wanted = False
            self._forget_if_unused(loaded)
        await asyncio.gather(*[loaded.left.wait() for loaded in leaving])

    def behind(self) -> str | None:
        """Return the release that is active on disk, if this replica missed the command to activate it.

        Returns:
            The name. None if this replica already uses that release, has failed to load it, or is loading a release.
        """
        wanted = self._folder.history.active()
        if wanted in {None, self.active.name} or self._changing.locked():
            return None
        return None if self.failed is not None and self.failed["release"] == wanted else wanted

    async def catch_up(self) -> None:
        """Take all deltas of the loaded releases' catalogues. Requests are answered meanwhile.

        Raises:
            ReleaseError: a delta cannot be used. The releases that have not taken it stay as they are.
        """
        async with self._changing:
            for loaded in self.loaded:
                if self._grow is None or not loaded.release.has_more_deltas:
                    continue
                try:
                    newer = await self._loaded(complete_in_background, self._grow(loaded.release))
                except Exception as error:  # damaged files can raise anything. The present state must stay
                    raise ReleaseError(str(error)) from error
                loaded.replace(newer)

    def status(self) -> Status:
        """Return the active release, the loaded releases and the last failure."""
        return {"release": self.active.name, "loaded": self.names, "failed": self.failed}

    def close(self) -> None:
        """Close all releases and their stores. Wait for a running load, and drop its result."""
        self._is_closed = True
        self._loader.shutdown()
        for loaded in self._by_name.values():
            loaded.release.close()

    async def _loaded(self, load: Callable[[Argument], LiveRelease], argument: Argument) -> LiveRelease:
        """Load a release on the loader's thread."""
        self._refuse_if_closed()
        loading = self._loader.submit(load, argument)
        try:
            loaded = await asyncio.wrap_future(loading)
            self._refuse_if_closed()  # ``close`` may have been called meanwhile
        except BaseException:
            loading.add_done_callback(_retire)
            raise
        return loaded

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ReleaseError("this replica is stopping")

    def _load_staged(self, name: str) -> LiveRelease:
        # Only one replica on a machine loads at a time, so that the other replicas answer as usual.
        with host_lock("loading", _LOCK_LIMIT_S):
            loaded = complete_in_background(self._steps(name))
        if loaded.name != name:
            loaded.release.retire()
            raise ReleaseError(f"the files of {name} belong to release {loaded.name}; stage {name} again")
        return loaded

    def _steps(self, name: str | None) -> Steps[LiveRelease]:
        config = yield from self._folder.applied_steps(self._config, name)
        return (yield from self._load(config))

    def _forget_if_unused(self, loaded: LiveRelease) -> None:
        if loaded.users or loaded.is_wanted or loaded is self.active:
            return
        if self._by_name.pop(loaded.name, None) is not None:
            loaded.release.retire()
        loaded.left.set()


def _retire(loading: "Future[LiveRelease]") -> None:
    """Retire the release that an abandoned load returns."""
    if not loading.cancelled() and loading.exception() is None:
        loading.result().release.retire()
