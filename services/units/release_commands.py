"""The calls through Serve by which ``services.releases.rollout`` changes a replica's releases."""

import asyncio
import logging

from services.errors import ReleaseError
from services.releases.live import LiveReleases, Status
from services.sharding.group import ShardGroup

logger = logging.getLogger("ray.serve")


class ReleaseCommands:
    """A unit's calls that change its releases.

    If loading fails, the call raises no error. It returns the replica's status, which describes the failure.
    """

    def __init__(self, live: LiveReleases, replica: str, group: ShardGroup | None = None) -> None:
        """Keep the releases to change.

        Args:
            live: the replica's releases.
            replica: the replica's name, for the status.
            group: the shard group that runs the models. None if they run in this process.
        """
        self.live = live
        self.group = group
        self._replica = replica
        self._following: asyncio.Task[None] | None = None

    async def load_release(self, name: str) -> Status:
        """Load and warm a staged release while the active one serves."""
        try:
            await self.live.load(name)
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
        return self._status()

    async def activate_release(self, name: str) -> Status:
        """Serve new requests with the release, and wait until no request uses another release."""
        try:
            await self.live.activate(name)
            await self.live.keep_active()
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
        return self._status()

    async def give_up_release(self, name: str, why: str) -> Status:
        """Drop a release that another replica could not load, and note the reason."""
        self.live.failed = {"release": name, "why": why}
        await self.live.keep_active()
        return self._status()

    async def release_status(self) -> Status:
        """Return the active release, the loaded releases and the last failure."""
        return self._status()

    async def check_health(self) -> None:
        """Check the shard group, and begin to load the release that is active on disk if this replica missed it.

        Serve calls this every 2 s, or every 0.5 s if the unit's replicas are shard groups.

        Raises:
            ShardLost: a rank is lost. Serve must replace this replica.
        """
        if self.group is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.group.check)
        name = self.live.behind()
        if name is not None and (self._following is None or self._following.done()):
            self._following = asyncio.get_running_loop().create_task(self._follow(name))

    def _status(self) -> Status:
        return {"replica": self._replica, **self.live.status()}

    async def _follow(self, name: str) -> None:
        """Activate a release but keep the others, because other units may still send requests with them."""
        try:
            await self.live.activate(name)
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
