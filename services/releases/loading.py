"""Load a release in steps: its data, the stages that the unit runs, and their fallbacks.

If a load fails, or the caller abandons it, nothing stays open. Each part is closed with the last reference to it, like
the parts that releases share. The thread that watches folders for changes is started last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.artifact import Artifact
from models.atomic_directory import settled
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.errors import ConfigError
from services.releases.release import Fallbacks, LiveRelease, Release
from services.releases.shared_parts import SharedParts
from services.releases.steps import Steps, complete
from services.releases.warmup import warm_steps
from services.scheduling.ladder import Ladder
from services.stages.base import Stage
from services.stages.candidates import CandidateSource, candidate_source, extent_of
from services.stages.context import ContextLayout
from services.stages.custom import CustomStages, StageContext
from services.stages.fallback import FallbackConfig, MemoryAnswers, read_lists
from services.stages.features import (
    FeaturesStage,
    load_definitions,
    open_watched_view,
    refuse_other_features,
)
from services.stages.popular import PopularItems
from services.stages.ranker import RankerConfig, RankerStage
from services.stages.reranker import BestStage, RerankerStage, RuledStage
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.scorer import ModelScorer
from services.stages.selection.rules import Rules
from services.stages.sent_items import ItemLayout
from services.stages.unranked import unranked_stage
from services.stages.updates.live_folder import LiveFolder
from services.stages.updates.refresh import Refresher


def load_release(
    config: PipelineConfig, home: Path, stages: Sequence[StageName], shared: SharedParts | None = None
) -> Release:
    """Load a release without pauses. Arguments and errors are as for ``release_steps``."""
    return complete(release_steps(config, home, stages, shared or SharedParts()))


def live_release_steps(
    config: PipelineConfig,
    home: Path,
    stages: Sequence[StageName],
    shared: SharedParts,
    ladders_of: Callable[[Release], Sequence[Ladder]],
) -> Steps[LiveRelease]:
    """Load a release and warm it.

    Args:
        config: the pipeline, with the release's data.
        home: the folder from which relative paths in the configuration start.
        stages: the stages that this unit runs.
        shared: the parts that releases in this process share.
        ladders_of: returns a release's stages with their rungs, in the order in which a request passes them.

    Raises:
        ConfigError, ModelError: as for ``release_steps``.
        StageFailed: as for ``warm_steps``.
    """
    release = yield from release_steps(config, home, stages, shared)
    try:
        ladders = ladders_of(release)
        yield from warm_steps(release, config, ladders)
    except BaseException:
        release.retire()
        raise
    return LiveRelease(release, ladders)


def release_steps(
    config: PipelineConfig, home: Path, stages: Sequence[StageName], shared: SharedParts
) -> Steps[Release]:
    """Load the parts of a release that the named stages need.

    Args:
        config: the pipeline, with the release's data.
        home: the folder from which relative paths in the configuration start.
        stages: the stages that this unit runs.
        shared: the parts that releases in this process share.

    Raises:
        ConfigError: the configuration names data or code that does not exist, or that does not fit the rest.
        ModelError: an artifact cannot be used.
    """
    definitions = load_definitions(home / config.features.definitions)
    yield
    catalogue = shared.catalogue(settled(home / config.catalogue))
    yield
    refuse_other_features(catalogue, definitions)
    live = LiveFolder(home, config.name, config.features.live)
    live.refuse_lost(definitions)
    view, folders = open_watched_view(config.features, definitions, catalogue, home)
    live.leave_mark()
    yield
    loader = _StageLoader(config, home, definitions, catalogue, view, shared)
    source = candidate_source(config.candidates, catalogue, definitions)
    yield
    custom = CustomStages(config.stages, StageContext(catalogue, definitions, home))
    yield
    own: dict[StageName, Stage] = {}
    for name in stages:
        own[name] = yield from loader.stage(name)
    unranked: Stage | None = None
    if config.ranker is None and "features" in stages:
        unranked = unranked_stage(config.popular, catalogue)
    layout = ContextLayout(definitions, extent_of(source))
    fallbacks: Fallbacks = {}
    memory: MemoryAnswers | None = None
    if config.fallback is not None and "features" in stages:
        fallbacks, memory = yield from loader.fallbacks(config.fallback, source, layout)
    # The versions of all models, including models in other units, so that every unit computes the same release name.
    artifacts = {
        name: loader.models[name].artifact if name in loader.models else Artifact.read(home / model.artifact)
        for name, model in config.models.items()
    }
    watched = folders if "features" in stages else []
    return Release(
        config=config,
        definitions=definitions,
        catalogue=catalogue,
        layout=layout,
        items=ItemLayout(catalogue, definitions, catalogue_only(config, artifacts)),
        view=view,
        source=source,
        custom=custom,
        models=loader.models,
        model_versions={name: artifact.version for name, artifact in artifacts.items()},
        stages=own,
        unranked=unranked,
        fallbacks=fallbacks,
        memory=memory,
        refresher=Refresher(watched, config.features.refresh_s, shared.row_metrics),
    )


def catalogue_only(config: PipelineConfig, artifacts: Mapping[str, Artifact]) -> str | None:
    """Return the part of the pipeline that cannot rank items outside the catalogue. None: there is none."""
    if config.stages:
        return f"the stage {config.stages[0].label}"
    texts = (name for name, artifact in artifacts.items() if artifact.signature.pair is not None)
    return next((f"the text model {name}" for name in texts), None)


@dataclass(frozen=True)
class _StageLoader:
    """Loads one release's stages on its data. Each model is loaded only once.

    Attributes:
        models: the models loaded so far, by name.
    """

    config: PipelineConfig
    home: Path
    definitions: FeatureSet
    catalogue: Catalogue
    view: FeatureView
    shared: SharedParts
    models: dict[str, ModelScorer] = field(default_factory=dict)

    def stage(self, name: StageName) -> Steps[Stage]:
        config = self.config
        if name == "features":
            store = config.features.store
            readers = config.units[config.ingress_unit].max_calls_in_flight
            reader = None if store is None else self.shared.stores.open(store, self.home, readers)
            return FeaturesStage(self.view, reader, self.shared.row_metrics)
        if name == "ranker":
            return (yield from self._ranker(config.required_ranker()))
        if config.reranker is None:
            raise ConfigError(
                "a unit has the stage reranker, but the pipeline has no reranker; add a reranker or remove the stage",
                field="units",
            )
        scorer = yield from self._scorer(config.reranker.model)
        return RerankerStage(scorer, config.reranker, self.catalogue, self.definitions)

    def fallbacks(
        self, fallback: FallbackConfig, source: CandidateSource, layout: ContextLayout
    ) -> Steps[tuple[Fallbacks, MemoryAnswers]]:
        """Load the fallbacks that an ingress uses for a stage that fails or is too late.

        Returns:
            The lower rungs by stage, and the answers from memory.
        """
        rungs: Fallbacks = {}
        order: BestStage | RuledStage = BestStage()
        if fallback.model is not None:
            scorer = yield from self._scorer(fallback.model)
            config = RankerConfig(model=fallback.model, output=fallback.output)
            rungs["ranker"] = ((fallback.model, RankerStage(scorer, config)),)
        if self.config.reranker is not None:
            rules = Rules(self.config.reranker.rules, self.catalogue, self.definitions)
            order = RuledStage(rules, has_user_features=False)
            rungs["reranker"] = ((order.name, RuledStage(rules)),)
        lists = {} if fallback.lists is None else read_lists(self.home / fallback.lists, self.catalogue)
        popular = PopularItems(fallback.popular, self.catalogue, 2 * self.config.requests.max_k)
        return rungs, MemoryAnswers(lists, popular, source, layout, self.view, order)

    def _ranker(self, ranker: RankerConfig) -> Steps[RankerStage]:
        if ranker.history_cache is None:
            return RankerStage((yield from self._scorer(ranker.model)), ranker)
        model = self.config.models[ranker.model]
        scorer = HistoryScorer(
            model, ranker.history_cache, self.catalogue, self.definitions, self.home, self.shared.histories
        )
        yield
        return RankerStage(scorer, ranker)

    def _scorer(self, model: str) -> Steps[ModelScorer]:
        if model not in self.models:
            self.models[model] = self.shared.scorer(self.config.models[model], self.catalogue, self.home)
            yield
        return self.models[model]
