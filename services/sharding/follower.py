"""What every rank of a shard group but the first does: it follows rank 0's orders. Without torch until it does."""

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from models.artifact import Artifact
from models.errors import BatchFailure, ModelError, OutOfMemory, RuntimeFailure
from models.runtimes import load_rank_runtime
from models.runtimes.base import Runtime, runtime_config
from services.sharding import heartbeat
from services.sharding.commands import LOAD_LIMIT_S, Order, Place
from services.wire import unpack

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from services.sharding.collectives import Joined

logger = logging.getLogger("ray.serve")
_NICENESS = 10


def follow(place: Place, own_address: str) -> None:
    """Do what rank 0 orders until that is gone; a rank that fails alone ends its process."""
    from services.sharding.collectives import Joined

    pid = place.pid if own_address == place.host else None
    heartbeat.hold(place.host, place.lifeline_port, place.token, place.rank, LOAD_LIMIT_S, pid)
    try:
        _follow(Joined(place, own_address))
    except BaseException:
        logger.exception("rank %d of a shard group fails", place.rank)
        os._exit(1)  # threads that wait for a peer would keep it


def _follow(joined: "Joined") -> None:
    models: dict[int, Runtime] = {}
    fault = ""
    while True:
        order, number, payload = joined.receive()
        if order is Order.RUN:
            try:
                models[number].run(unpack(payload.data)[0])
            except BatchFailure as error:  # rank 0 knows
                logger.debug("%s", error)
            except OutOfMemory:
                raise
            except RuntimeFailure as error:
                fault = str(error)  # rank 0, where it failed alike, asks; any other error ends this rank
        elif order is Order.LOAD:
            told = bytes(payload)
            threading.Thread(target=_load, args=(joined, number, told, models), daemon=True).start()
        elif order is Order.FORGET:
            models.pop(number, None)
        else:
            joined.meet(fault)
            fault = ""


def _load(joined: "Joined", number: int, told: bytes, models: dict[int, Runtime]) -> None:
    """Load beside the batches of other models, and tell rank 0 how that went."""
    if models and sys.platform == "linux":  # there a niceness is a thread's own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    fault = ""
    try:
        models[number] = load_part(joined.sums, **json.loads(told))
    except ModelError as error:
        fault = str(error)
    except Exception as error:  # whatever a library raises: rank 0 has to hear of it
        logger.exception("a model cannot be loaded")
        fault = f"{type(error).__name__}: {error}"
    joined.store.set(loaded_key(number, joined.place.rank), fault)


def load_part(group: "ProcessGroup", root: str, version: str, runtime: dict[str, object]) -> Runtime:
    """Load this rank's part of the artifact at ``root``; its batches go over that group.

    Raises:
        ModelError: it is not there, is of another version, or cannot be split so.
    """
    artifact = Artifact.read(Path(root))
    if artifact.version != version:
        raise RuntimeFailure(
            f"{root} has version {artifact.version} here, {version} at rank 0: copy it to all nodes"
        )
    return load_rank_runtime(Path(root), artifact, runtime_config(**runtime), group)


def loaded_key(number: int, rank: int) -> str:
    """Name what a rank says of a load in the store."""
    return f"loaded/{number}/{rank}"
