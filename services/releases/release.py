"""Releases: the model, catalogue and feature versions that belong together, loaded and ready."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.errors import ConfigError
from services.scheduling.ladder import Ladder, Rung
from services.stages.base import AnyStage, Stage, WaitingStage
from services.stages.candidates import CandidateSource
from services.stages.checked_stage import CheckedStage, SkippedStage
from services.stages.context import ContextLayout
from services.stages.custom import CustomStages
from services.stages.fallback import MemoryAnswers
from services.stages.features import FeaturesStage
from services.stages.reranker import BestStage
from services.stages.scoring.scorer import ModelScorer
from services.stages.updates.refresh import Identity, Refresher

Fallbacks = dict[StageName, tuple[tuple[str, Stage], ...]]
"""The lower rungs of stages, each rung with its name."""


def release_name(catalogue_version: str, feature_hash: str, model_versions: Mapping[str, str]) -> str:
    """Return the name of what belongs together: 12 hex digits, the same wherever and whenever it is put together."""
    content = [catalogue_version, feature_hash, *(f"{n}={v}" for n, v in sorted(model_versions.items()))]
    return hashlib.sha256("|".join(content).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Release:
    """One release as one unit holds it: its data, and the stages that the unit runs. ``loading`` loads it.

    custom: the stages of other packages. models: the unit's own, by name, without a ranker that has a history cache.
    model_versions: of all models, those of other units included. memory: None in a unit that answers nothing from
    memory. refresher: keeps the view's folders fresh.
    """

    config: PipelineConfig
    definitions: FeatureSet
    catalogue: Catalogue
    layout: ContextLayout
    view: FeatureView
    source: CandidateSource
    custom: CustomStages
    models: Mapping[str, ModelScorer]
    model_versions: Mapping[str, str]
    stages: Mapping[StageName, Stage]
    fallbacks: Fallbacks
    memory: MemoryAnswers | None
    refresher: Refresher

    @cached_property
    def name(self) -> str:
        """The release's name; every unit gives it the same."""
        manifest = self.catalogue.manifest
        return release_name(manifest.version, manifest.feature_hash, self.model_versions)

    @cached_property
    def versions(self) -> dict[str, str]:
        """The versions that an answer reports: those of the models, and the release's name."""
        return {**self.model_versions, "release": self.name}

    @property
    def taken(self) -> tuple[Identity, ...]:
        """Return the identities of the overlay and the live item features in use."""
        return self.refresher.taken

    def pipeline(self, remote: Mapping[StageName, AnyStage]) -> list[Ladder]:
        """Return all stages in a request's order, each with its rungs: ``remote`` ones for those held elsewhere."""
        order: list[Ladder] = []
        for name in self.config.stage_names():
            stage = remote.get(name) or self.stages.get(name)
            if stage is None:
                raise ConfigError(
                    f"no unit has the stage {name}; add it to units.<unit>.stages", field="units"
                )
            if isinstance(stage, FeaturesStage) and stage.waits:
                stage = WaitingStage(stage)
            below = [Rung(rung, fallback) for rung, fallback in self.fallbacks.get(name, ())]
            order.append(Ladder(name, [Rung(name, stage), *below]))
            order += [self._custom_ladder(custom) for custom in self.custom.after(name)]
        if self.config.reranker is None:
            order.append(Ladder.from_stage(BestStage()))
        return order

    def _custom_ladder(self, custom: CheckedStage) -> Ladder:
        stage = WaitingStage(custom) if custom.waits else custom
        below = [] if self.config.fallback is None else [Rung(SkippedStage.name, SkippedStage())]
        return Ladder(custom.name, [Rung(custom.name, stage), *below])

    def retire(self) -> None:
        """Stop looking after what a batch may still be using; the rest goes with the last reference."""
        self.refresher.stop()

    def close(self) -> None:
        """Let go of the store, whoever else reads it, as a process can open it but once; and of the folders."""
        self.refresher.close()
        features = self.stages.get("features")
        if isinstance(features, FeaturesStage):
            features.close()


@dataclass(eq=False)
class LiveRelease:
    """A release with its stages in a request's order, and how many requests use it."""

    release: Release
    ladders: Sequence[Ladder]
    users: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is no longer wanted and nobody uses it."""
    is_wanted: bool = True

    @property
    def name(self) -> str:
        """The release's name."""
        return self.release.name

    def want(self) -> None:
        """Keep it after all; whoever waits for it to go need not wait any more."""
        self.is_wanted = True
        self.left.set()
        self.left = asyncio.Event()
