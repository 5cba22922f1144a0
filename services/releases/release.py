"""Loaded releases: the models, catalogue and feature definitions that belong together, ready to serve."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.deltas.folder import DeltaFolder
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
from services.stages.sent_items import ItemLayout
from services.stages.updates.refresh import Identity, Refresher

Fallbacks = dict[StageName, tuple[tuple[str, Stage], ...]]
"""Each stage's lower rungs. A rung is a pair of a name and a stage."""


def release_name(catalogue_version: str, feature_hash: str, model_versions: Mapping[str, str]) -> str:
    """Return a release's name: 12 hex digits that depend only on the versions of its parts.

    ``feature_hash`` is the feature definitions' content hash. ``model_versions`` has all models by name.
    """
    content = [catalogue_version, feature_hash, *(f"{n}={v}" for n, v in sorted(model_versions.items()))]
    return hashlib.sha256("|".join(content).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Release:
    """One release in one unit: its data, and the stages that the unit runs. ``loading`` loads it.

    Attributes:
        config: the pipeline, with the release's data.
        catalogue: the items.
        layout: the columns of a request's context.
        items: reads the features of items that requests send.
        view: the features, from the catalogue, the overlay and the live item features.
        source: draws candidates for requests that send none.
        custom: the stages from other packages.
        models: this unit's models by name, except for a ranker that has a history cache.
        model_versions: the versions of all models, including models in other units.
        stages: the stages that this unit runs.
        unranked: the stage that stands in for the ranker in a pipeline without one.
        fallbacks: the stages' lower rungs.
        memory: the answers from memory. None in a unit that does not answer from memory.
        refresher: opens the folders behind the view again when they change.
        deltas: the deltas of the catalogue.
    """

    config: PipelineConfig
    definitions: FeatureSet
    catalogue: Catalogue
    layout: ContextLayout
    items: ItemLayout
    view: FeatureView
    source: CandidateSource
    custom: CustomStages
    models: Mapping[str, ModelScorer]
    model_versions: Mapping[str, str]
    stages: Mapping[StageName, Stage]
    unranked: Stage | None
    fallbacks: Fallbacks
    memory: MemoryAnswers | None
    refresher: Refresher
    deltas: DeltaFolder

    @cached_property
    def name(self) -> str:
        """The release's name. It is the same in every unit."""
        manifest = self.catalogue.manifest
        return release_name(manifest.version, manifest.feature_hash, self.model_versions)

    @cached_property
    def versions(self) -> dict[str, str]:
        """The versions that an answer reports: those of the models, the release's name, and a catalogue with deltas."""
        catalogue = {"catalogue": self.catalogue.label} if self.catalogue.state else {}
        return {**self.model_versions, "release": self.name, **catalogue}

    @property
    def has_more_deltas(self) -> bool:
        """Whether there is a delta that the catalogue does not have yet."""
        return self.deltas.next_path(self.catalogue).is_file()

    @property
    def data_in_use(self) -> tuple[str, tuple[Identity, ...]]:
        """The catalogue's deltas, and the identities of the overlay and the live item features."""
        return self.catalogue.state, self.refresher.identities

    def pipeline(self, remote: Mapping[StageName, AnyStage]) -> list[Ladder]:
        """Return all stages with their rungs, in the order in which a request passes them.

        Args:
            remote: the stages that other units run. They take precedence over this unit's stages.

        Raises:
            ConfigError: a stage is in no unit.
        """
        order: list[Ladder] = []
        for name in self.config.stage_names():
            stage = remote.get(name) or self.stages.get(name)
            if stage is None:
                raise ConfigError(
                    f"no unit has the stage {name}; add it to the stages of a unit", field="units"
                )
            if isinstance(stage, FeaturesStage) and stage.waits:
                stage = WaitingStage(stage)
            below = [Rung(rung, fallback) for rung, fallback in self.fallbacks.get(name, ())]
            order.append(Ladder(name, [Rung(name, stage), *below]))
            order += self._custom_ladders(name)
            if name == "features" and self.unranked is not None:
                order += [Ladder.from_stage(self.unranked), *self._custom_ladders("ranker")]
        if self.config.reranker is None:
            order.append(Ladder.from_stage(BestStage()))
        return order

    def _custom_ladders(self, after: str) -> list[Ladder]:
        return [self._custom_ladder(custom) for custom in self.custom.after(after)]

    def _custom_ladder(self, custom: CheckedStage) -> Ladder:
        stage = WaitingStage(custom) if custom.waits else custom
        below = [] if self.config.fallback is None else [Rung(SkippedStage.name, SkippedStage())]
        return Ladder(custom.name, [Rung(custom.name, stage), *below])

    def retire(self) -> None:
        """Stop watching the folders. Batches may still use the release. Its data are freed with the last reference."""
        self.refresher.stop()

    def close(self) -> None:
        """Stop watching the folders, and close the store even if other releases use it.

        A process can open an LMDB store only once, so the store must be closed before it can be opened again.
        """
        self.refresher.close()
        features = self.stages.get("features")
        if isinstance(features, FeaturesStage):
            features.close()


@dataclass(eq=False)
class LiveRelease:
    """A release that serves requests.

    Attributes:
        ladders: the stages with their rungs, in the order in which a request passes them.
        users: the count of requests that use the release.
        left: set when the release is no longer wanted and no request uses it.
        is_wanted: whether the release stays loaded if no request uses it.
    """

    release: Release
    ladders: Sequence[Ladder]
    users: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    is_wanted: bool = True

    @property
    def name(self) -> str:
        """The release's name."""
        return self.release.name

    def replace(self, newer: "LiveRelease") -> None:
        """Continue with a later state of the catalogue.

        A batch may pass some stages before this change and others after it. Each stage knows at least the rows of the
        batch, because the stages are exchanged from the last to the first, and the source of candidates after them.
        """
        for ladder, other in reversed(list(zip(self.ladders, newer.ladders, strict=True))):
            for rung, other_rung in zip(ladder.rungs, other.rungs, strict=True):
                rung.stage = other_rung.stage
        self.release, older = newer.release, self.release
        older.retire()

    def want(self) -> None:
        """Keep the release after all. Callers that wait until the release is gone stop waiting."""
        self.is_wanted = True
        self.left.set()
        self.left = asyncio.Event()
