"""The registry of architectures. A new architecture needs a file in this folder and a line here."""

from typing import Any

from pydantic import BaseModel

from autoscale.registries.registry import Registry
from models.architectures.kind import ArchitectureKind

AnyArchitectureKind = ArchitectureKind[Any]
ARCHITECTURES: Registry[AnyArchitectureKind] = Registry(
    "architecture",
    {
        "history_ranker": "models.architectures.history_ranker:ARCHITECTURE",
        "pooled_ranker": "models.architectures.pooled_ranker:ARCHITECTURE",
        "listwise": "models.architectures.listwise:ARCHITECTURE",
        "dlrm": "models.architectures.dlrm:ARCHITECTURE",
        "hf_sequence_classification": "models.architectures.sequence_classifier:ARCHITECTURE",
    },
    entry=ArchitectureKind,
    options=BaseModel,
    extra="train",
)
