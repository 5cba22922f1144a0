"""``kind: auto``: another kind, chosen by ``models.runtimes.auto`` before a pipeline is deployed."""

from typing import Literal

from models.runtimes.base import RuntimeKind, RuntimeOptions


class AutoConfig(RuntimeOptions):
    """Another runtime kind, in 32 bits.

    It is chosen once, before a pipeline is deployed, so that all replicas have the same runtime.
    """

    kind: Literal["auto"]


RUNTIME = RuntimeKind(config=AutoConfig)
