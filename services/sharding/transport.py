"""Choose a shard group's transport: shared memory or gloo, as configured, or else as the machines allow."""

import platform
import sys
from contextlib import suppress

from models.runtimes.base import Transport
from services.errors import ConfigError
from services.sharding.commands import RankSpec
from services.sharding.rendezvous import MemoryHost
from services.sharding.shared_memory import is_supported

_FIELD = "models.<name>.runtime.transport"


def check_transport(transport: Transport | None) -> None:
    """Check that this machine can share memory between ranks, if the configuration requires it.

    Raises:
        ConfigError: the configuration requires shared memory, and this machine cannot share it.
    """
    if transport == "shared_memory" and not is_supported():
        machine = f"{sys.platform} on {platform.machine()}"
        raise shared_memory_refused(
            f"ranks can share memory only on Linux on x86-64, and this machine is {machine}"
        )


def may_share_memory(spec: RankSpec) -> bool:
    """Return whether this rank tries to share memory. All ranks on one host get the same result."""
    return spec.size > 1 and spec.transport != "gloo" and is_supported()


def open_memory_host(spec: RankSpec) -> MemoryHost | None:
    """Make the group's memory in rank 0. Return None in other ranks, or if this machine cannot make the memory."""
    if spec.rank == 0 and may_share_memory(spec):
        with suppress(OSError):
            return MemoryHost(spec.token, spec.size)
    return None


def shared_memory_refused(problem: str) -> ConfigError:
    """Return the error for shared memory that is configured but cannot be used."""
    return ConfigError(f"{problem}, got shared_memory; remove the field, or set gloo", field=_FIELD)
