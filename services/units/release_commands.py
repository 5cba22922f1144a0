"""The calls by which ``services.releases.rollout`` changes the releases of a replica, through Serve."""

import asyncio
import logging

from services.errors import ReleaseError
from services.releases.live import LiveReleases, Status
from services.sharding.group import ShardGroup

logger = logging.getLogger("ray.serve")


class ReleaseCommands:
    """A unit's calls that change its releases. None of them raises; each returns the replica's status."""

    def __init__(self, live: LiveReleases, replica: str, group: ShardGroup | None = None) -> None:
        """Change ``live``. group: the shard group that the models are in, if they are in one."""
        self.live = live
        self.group = group
        self._replica = replica
        self._following: asyncio.Task[None] | None = None

    async def load_release(self, name: str) -> Status:
        """Load and warm a staged release beside the active one."""
        try:
            await self.live.load(name)
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
        return self._status()

    async def activate_release(self, name: str) -> Status:
        """Give new requests the release; come back when no request uses another any more."""
        try:
            await self.live.activate(name)
            await self.live.keep_active()
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
        return self._status()

    async def give_up_release(self, name: str, why: str) -> Status:
        """Forget a release that another replica could not load."""
        self.live.failed = {"release": name, "why": why}
        await self.live.keep_active()
        return self._status()

    async def release_status(self) -> Status:
        """Say which release is active, which are loaded and what failed."""
        return self._status()

    async def check_health(self) -> None:
        """Go after the active release on disk; Serve calls this every second or two.

        Raises:
            ShardLost: Serve has to replace this replica.
        """
        if self.group is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.group.check)
        name = self.live.behind()
        if name is not None and (self._following is None or self._following.done()):
            self._following = asyncio.get_running_loop().create_task(self._follow(name))

    def _status(self) -> Status:
        return {"replica": self._replica, **self.live.status()}

    async def _follow(self, name: str) -> None:
        """Others are kept: other units may still send requests of them."""
        try:
            await self.live.activate(name)
        except ReleaseError as error:
            logger.warning("%s; release %s stays active", error, self.live.active.name)
