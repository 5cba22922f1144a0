"""A follower: any rank of a shard group except rank 0. It executes rank 0's commands.

The module imports torch only when the rank joins its group.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoscale.registries.trust import trusting
from models.artifact import Artifact
from models.errors import BatchFailure, ModelError, OutOfMemory, RuntimeFailure
from models.runtimes import load_rank_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from services.sharding.commands import LOAD_LIMIT_S, Command, RankSpec
from services.sharding.heartbeat import answer_heartbeats
from services.wire import unpack

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from services.sharding.collectives import Collectives

logger = logging.getLogger("ray.serve")
_NICENESS = 10


def follow(spec: RankSpec, own_address: str) -> None:
    """Execute rank 0's commands until rank 0 ends.

    If this rank has an error that the other ranks may not have, the process ends.

    Args:
        spec: this rank and its group.
        own_address: this rank's address.
    """
    from services.sharding.collectives import Collectives

    pid = spec.pid if own_address == spec.host else None
    answer_heartbeats(spec.host, spec.heartbeat_port, spec.token, spec.rank, LOAD_LIMIT_S, pid)
    try:
        _follow(Collectives(spec, own_address))
    except BaseException:
        logger.exception("rank %d of a shard group failed", spec.rank)
        os._exit(1)  # threads that wait for another rank would keep the process alive


def _follow(collectives: "Collectives") -> None:
    models: dict[int, Runtime] = {}
    fault = ""
    while True:
        command, number, payload = collectives.receive()
        if command is Command.RUN:
            try:
                models[number].run(unpack(payload.data)[0])
            except BatchFailure as error:  # rank 0 has the same error
                logger.debug("%s", error)
            except OutOfMemory:
                raise
            except RuntimeFailure as error:
                # If rank 0 has failed too, its next command is SYNC. Other errors end this rank.
                fault = str(error)
        elif command is Command.LOAD:
            request = bytes(payload)
            threading.Thread(target=_load, args=(collectives, number, request, models), daemon=True).start()
        elif command is Command.UNLOAD:
            models.pop(number, None)
        else:
            collectives.agree(fault)
            fault = ""


def _load(collectives: "Collectives", number: int, request: bytes, models: dict[int, Runtime]) -> None:
    """Load a model while batches of other models run, and report the result to rank 0."""
    if models and sys.platform == "linux":  # on Linux each thread has its own niceness
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    fault = ""
    try:
        models[number] = load_part(collectives.model_group, **json.loads(request))
    except ModelError as error:
        fault = str(error)
    except Exception as error:  # a library may raise anything, and rank 0 waits for a report
        logger.exception("a model cannot be loaded")
        fault = f"{type(error).__name__}: {error}"
    collectives.store.set(load_result_key(number, collectives.spec.rank), fault)


def load_part(
    group: "ProcessGroup", root: str, version: str, runtime: dict[str, object], trust: Sequence[str]
) -> Runtime:
    """Load this rank's part of an artifact.

    Args:
        group: the process group that the model uses.
        root: the artifact's folder.
        version: the artifact version that rank 0 loads.
        runtime: the runtime's configuration as plain data.
        trust: the packages with the runtime's code, which rank 0's configuration trusts.

    Raises:
        ModelError: the artifact is missing, has another version, or cannot be split.
    """
    artifact = Artifact.read(Path(root))
    if artifact.version != version:
        raise RuntimeFailure(
            f"{root}: has version {artifact.version}, but rank 0 has {version}; copy rank 0's artifact to all nodes"
        )
    with trusting(trust):
        config = runtime_config(**runtime)
    return load_rank_runtime(Path(root), artifact, config, group)


def load_result_key(number: int, rank: int) -> str:
    """Return the store key for a rank's load result. The value is "", or the reason why the load failed."""
    return f"loaded/{number}/{rank}"
