"""``kind: auto``: another kind, chosen by ``models.runtimes.auto`` before a pipeline is deployed."""

from typing import Literal

from models.runtimes.base import RuntimeKind, RuntimeOptions


class AutoConfig(RuntimeOptions):
    """Options for a runtime whose kind is chosen automatically. The chosen runtime computes in 32 bits.

    The kind is chosen once, before the pipeline is deployed, so that all replicas have the same runtime.
    """

    kind: Literal["auto"]


RUNTIME = RuntimeKind(config=AutoConfig)
