"""``kind: auto``: one of the others, chosen by ``models.runtimes.auto`` before a pipeline is deployed."""

from typing import Literal

from models.runtimes.base import RuntimeKind, RuntimeOptions


class AutoConfig(RuntimeOptions):
    """One of the others, in 32 bits: chosen once, before a pipeline is deployed, so that all replicas have the same."""

    kind: Literal["auto"]


RUNTIME = RuntimeKind(config=AutoConfig)
