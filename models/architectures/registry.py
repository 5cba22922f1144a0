"""The registry of architectures. A new architecture needs a descriptor in ``kinds`` and a line here."""

from typing import Any

from pydantic import BaseModel

from autoscale.registries.registry import Registry
from models.architectures.kind import ArchitectureKind

AnyArchitectureKind = ArchitectureKind[Any]
ARCHITECTURES: Registry[AnyArchitectureKind] = Registry(
    "architecture",
    {
        "history_ranker": "models.architectures.kinds.history_ranker:ARCHITECTURE",
        "pooled_ranker": "models.architectures.kinds.pooled_ranker:ARCHITECTURE",
        "listwise": "models.architectures.kinds.listwise:ARCHITECTURE",
        "dlrm": "models.architectures.kinds.dlrm:ARCHITECTURE",
        "hyper_ranker": "models.architectures.kinds.hyper_ranker:ARCHITECTURE",
        "hf_sequence_classification": "models.architectures.kinds.sequence_classifier:ARCHITECTURE",
    },
    entry=ArchitectureKind,
    options=BaseModel,
    extra="train",
)
