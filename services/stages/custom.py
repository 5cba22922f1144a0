"""Stages from other packages: functions from ragged batch to ragged batch. They run after the features or the ranker.

They run in the ingress, for every batch. In ``timings_ms``, each stage's time is under the stage's own name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import numpy as np
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.ragged import RaggedBatch
from services.plugins import opening
from services.stages.checked_stage import CheckedStage
from services.wire import SCORES

After = Literal["features", "ranker"]
NAME = "^[a-z][a-z0-9_-]*$"
RESERVED = frozenset(
    {"features", "ranker", "popular", "given", "reranker", "order", "queue", "memory", "merge"}
)
"""Names that timings and errors already use."""


class StageOptions(BaseModel):
    """The options of every custom stage.

    Attributes:
        kind: the registered kind.
        after: the stage after which the custom stage runs.
        name: the name in timings, metrics and degraded answers. Default: ``kind``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    after: After
    name: str | None = Field(default=None, pattern=NAME)

    @property
    def label(self) -> str:
        """The name in timings, metrics and degraded answers."""
        return self.name or self.kind


@dataclass(frozen=True, slots=True)
class StageContext:
    """The inputs for making a stage: the release's catalogue and feature definitions, and the data home."""

    catalogue: Catalogue
    definitions: FeatureSet
    home: Path


CustomStage = Callable[[RaggedBatch], RaggedBatch]
"""Adds columns to a batch, replaces scores, or keeps some candidates. It changes no array in place."""
Options = TypeVar("Options", bound=StageOptions)


@dataclass(frozen=True, slots=True)
class StageKind(Generic[Options]):
    """The descriptor for one kind of stage.

    Attributes:
        config: the options class.
        open: makes a release's stage.
        waits: whether the stage blocks on another process. Such a stage runs on an I/O thread, and its calls may
            overlap.
    """

    config: type[Options]
    open: Callable[[Options, StageContext], CustomStage]
    waits: bool = False


AnyStageKind = StageKind[Any]
STAGES: Registry[AnyStageKind] = Registry(
    "stage", {}, entry=StageKind, options=StageOptions, group="rankway.stages"
)
CustomStageConfig = Annotated[StageOptions, ByKind(STAGES)]


def refuse_same_names(stages: Sequence[StageOptions]) -> None:
    """Check that every stage has its own valid name, because metrics and degraded answers show it.

    Raises:
        ValueError: a name is used twice or is reserved, or a kind is not a valid name.
    """
    used = set(RESERVED)
    for index, stage in enumerate(stages):
        if not re.fullmatch(NAME, stage.label):
            raise ValueError(
                f"stages.{index}.name: the kind is not a valid name, got {stage.label!r}; set a name from a-z, 0-9, - "
                f"and _"
            )
        if stage.label in used:
            raise ValueError(
                f"stages.{index}.name: another stage has this name, got {stage.label!r}; set another name"
            )
        used.add(stage.label)


class CustomStages:
    """The custom stages of one release."""

    def __init__(self, configs: Sequence[StageOptions], context: StageContext) -> None:
        """Make the stages.

        Raises:
            ConfigError: a stage cannot be made.
        """
        self._stages: list[tuple[After, CheckedStage]] = []
        for index, config in enumerate(configs):
            with opening(STAGES, config, f"stages.{index}"):
                kind = STAGES.for_config(config)
                stage = kind.open(config, context)
            checked = CheckedStage(
                config.label,
                stage,
                item_count=len(context.catalogue),
                is_ranked=config.after == "ranker",
                waits=kind.waits,
            )
            self._stages.append((config.after, checked))

    def after(self, name: str) -> list[CheckedStage]:
        """Return the stages that follow the stage ``name``, in configured order."""
        return [stage for after, stage in self._stages if after == name]

    def prepare(self, batch: RaggedBatch) -> RaggedBatch:
        """Apply the stages before the ranker to a sample batch. Scores in the sample become zeros."""
        stages = self.after("features")
        if not stages:
            return batch
        scores = [name for name in SCORES if name in batch.candidates]
        columns = {name: column for name, column in batch.candidates.items() if name not in SCORES}
        batch = replace(batch, candidates=columns)
        for stage in stages:
            batch = stage(batch)
        zeros = np.zeros(batch.candidate_count, dtype=np.float32)
        return batch.adding(candidates=dict.fromkeys(scores, zeros))
