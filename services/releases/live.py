"""Live releases: what a replica has loaded, which of it new requests get, and who still uses what.

A release is loaded and warmed beside the active one, on a thread of its own; making it the active one is a single
assignment on the event loop. A request uses the release it began with to its end. One that is no longer wanted is
forgotten when its last request has left, and with the last reference to it goes its memory.
"""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.errors import ModelError
from services.config.pipeline import PipelineConfig
from services.errors import ReleaseError, ReleaseMismatch, ServiceError
from services.locks import one_at_a_time
from services.releases.release import LiveRelease
from services.releases.staging import ReleaseFolder
from services.releases.steps import Steps, complete
from services.releases.throttle import Throttle

_SWITCH_S, _NICENESS = 0.0003, 10
_SHARE = 0.25
"""Of a core, for loading while requests are answered."""
_TURN_LIMIT_S = 60.0
Status = dict[str, Any]
"""A replica's releases as a command reports them: the active one, those loaded, and the last failure."""


class LiveReleases:
    """The releases of one replica, by name; exactly one of them is active. For the event loop alone, but ``get``."""

    def __init__(
        self, config: PipelineConfig, home: Path, load: Callable[[PipelineConfig], Steps[LiveRelease]]
    ) -> None:
        """Load the release that is active on disk, or what the configuration itself names.

        load: loads and warms what a configuration names, in steps; it may raise anything.

        Raises:
            ReleaseError: what is active on disk is not there, or not as it was staged.
        """
        self._config, self._load = config, load
        self._folder = ReleaseFolder(home, config.name, config.trust)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader", initializer=_yield_the_processor)
        self._changing = asyncio.Lock()
        self._is_closed = False
        self.active = complete(self._steps(self._folder.history.active()))
        self._by_name = {self.active.name: self.active}
        self.failed: dict[str, str] | None = None
        """The release that could not be loaded last, and why; None again when another was activated."""
        gc.collect()
        gc.freeze()  # what start-up allocated stays; what is loaded later must not

    @property
    def names(self) -> list[str]:
        """Give the names of all that are loaded."""
        return list(self._by_name)

    def get(self, name: str) -> LiveRelease:
        """Give a loaded release; may be called from any thread.

        Raises:
            ReleaseMismatch: it is not loaded, or no longer.
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
        """Count a request in, to the active release or to a named one; ``leave`` must follow.

        Raises:
            ReleaseMismatch: the named one is not loaded.
        """
        loaded = self.active if name is None else self.get(name)
        loaded.users += 1
        return loaded

    def leave(self, loaded: LiveRelease) -> None:
        """Count a request out."""
        loaded.users -= 1
        self._forget_if_unused(loaded)

    async def load(self, name: str) -> None:
        """Load and warm a staged release beside those there are; one that is there stays as it is.

        Raises:
            ReleaseError: it cannot be loaded; those there are stay as they are.
        """
        async with self._changing:
            if name in self._by_name:
                self._by_name[name].want()
                return
            try:
                loaded = await self._load_beside(name)
            except Exception as error:  # whatever a damaged file or a model does: the active one goes on
                expected = isinstance(error, ServiceError | ModelError)
                why = str(error) if expected else f"{type(error).__name__}: {error}"
                self.failed = {"release": name, "why": why}
                raise ReleaseError(f"release {name} cannot be loaded: {why}") from error
            self._by_name[name] = loaded

    async def activate(self, name: str) -> None:
        """Give new requests the named release, loaded first if need be; the others stay until ``keep_active``.

        Raises:
            ReleaseError: it cannot be loaded; the active one stays.
        """
        await self.load(name)
        self.active = self._by_name[name]
        self.failed = None

    async def keep_active(self) -> None:
        """Forget all releases but the active one, each when its last request has left; wait for that."""
        leaving = [loaded for loaded in self._by_name.values() if loaded is not self.active]
        for loaded in leaving:
            loaded.is_wanted = False
            self._forget_if_unused(loaded)
        await asyncio.gather(*[loaded.left.wait() for loaded in leaving])

    def behind(self) -> str | None:
        """Give what is active on disk where a command to activate it did not reach this replica, nor it failed."""
        wanted = self._folder.history.active()
        if wanted in {None, self.active.name} or self._changing.locked():
            return None
        return None if self.failed is not None and self.failed["release"] == wanted else wanted

    def status(self) -> Status:
        """Give what a command is told: the active release, all that are loaded, and what failed last."""
        return {"release": self.active.name, "loaded": self.names, "failed": self.failed}

    def close(self) -> None:
        """Let go of all of them, and of their stores; what is loading now is not kept."""
        self._is_closed = True
        self._loader.shutdown()
        for loaded in self._by_name.values():
            loaded.release.close()

    async def _load_beside(self, name: str) -> LiveRelease:
        self._refuse_if_closed()
        loading = self._loader.submit(self._load_staged, name)
        try:
            loaded = await asyncio.wrap_future(loading)
            self._refuse_if_closed()  # it may have been closed meanwhile
        except BaseException:
            loading.add_done_callback(_retire)
            raise
        return loaded

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ReleaseError("this replica is stopping")

    def _load_staged(self, name: str) -> LiveRelease:
        usual_s = sys.getswitchinterval()
        # The machine's other replicas answer as usual meanwhile.
        with one_at_a_time("loading", _TURN_LIMIT_S):
            sys.setswitchinterval(_SWITCH_S)  # requests wait for the interpreter's lock no longer than this
            try:
                loaded = complete(self._steps(name), Throttle(_SHARE))
            finally:
                sys.setswitchinterval(usual_s)
        if loaded.name != name:
            loaded.release.retire()
            raise ReleaseError(f"its files belong to release {loaded.name}; stage it again")
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
    """Let go of a release that nobody waits for any more."""
    if not loading.cancelled() and loading.exception() is None:
        loading.result().release.retire()


def _yield_the_processor() -> None:
    """Let requests go first where a processor is shared; on Linux a niceness is a thread's own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
