"""The parts of a release that are made from its data: its stages, their fallbacks, and the answers from memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from models.artifact import Artifact
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.errors import ConfigError
from services.releases.columns_read import columns_read
from services.releases.release import Fallbacks, Release
from services.releases.shared_parts import SharedParts
from services.releases.steps import Steps
from services.stages.base import Stage
from services.stages.candidates import CandidateSource
from services.stages.context import ContextLayout
from services.stages.fallback import FallbackConfig, MemoryAnswers
from services.stages.features import FeaturesStage
from services.stages.popular import PopularItems
from services.stages.ranker import RankerConfig, RankerStage
from services.stages.reranker import BestStage, RerankerStage, RuledStage
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.scorer import ModelScorer
from services.stages.selection.rules import Rules
from services.stages.sent_items import ItemLayout
from services.stages.user_lists import UserLists, read_lists


@dataclass(frozen=True)
class Origin:
    """The data that a release is made from.

    Attributes:
        config: the pipeline, with the release's data.
        home: the folder from which relative paths in the configuration start.
        shared: the parts that releases in this process share.
        previous: the release with an earlier state of the same catalogue. Its models and its store are used again.
    """

    config: PipelineConfig
    home: Path
    definitions: FeatureSet
    catalogue: Catalogue
    shared: SharedParts
    previous: Release | None = None


def catalogue_only(config: PipelineConfig, artifacts: Mapping[str, Artifact]) -> str | None:
    """Return the part of the pipeline that cannot rank items outside the catalogue. None: there is none."""
    if config.stages:
        return f"the stage {config.stages[0].label}"
    texts = (name for name, artifact in artifacts.items() if artifact.signature.pair is not None)
    return next((f"the text model {name}" for name in texts), None)


@dataclass(frozen=True)
class PartsLoader:
    """Loads one release's stages on its data. Each model is loaded only once.

    Attributes:
        view: the features over the origin's catalogue.
        models: the models loaded so far, by name.
    """

    origin: Origin
    view: FeatureView
    models: dict[str, ModelScorer] = field(default_factory=dict)

    def stage(self, name: StageName) -> Steps[Stage]:
        """Load a stage that this unit runs."""
        origin, config = self.origin, self.origin.config
        if name == "features":
            return self._features()
        if name == "ranker":
            return (yield from self._ranker(config.required_ranker()))
        if config.reranker is None:
            raise ConfigError(
                "a unit has the stage reranker, but the pipeline has no reranker; add a reranker or remove the stage",
                field="units",
            )
        scorer = yield from self._scorer(config.reranker.model)
        return RerankerStage(scorer, config.reranker, origin.catalogue, origin.definitions)

    def fallbacks(
        self, fallback: FallbackConfig, source: CandidateSource, layout: ContextLayout, items: ItemLayout
    ) -> Steps[tuple[Fallbacks, MemoryAnswers]]:
        """Load the fallbacks that an ingress uses for a stage that fails or is too late.

        Returns:
            The lower rungs by stage, and the answers from memory.
        """
        config, catalogue = self.origin.config, self.origin.catalogue
        rungs: Fallbacks = {}
        order: BestStage | RuledStage = BestStage()
        if fallback.model is not None:
            scorer = yield from self._scorer(fallback.model)
            ranker = RankerConfig(model=fallback.model, output=fallback.output)
            rungs["ranker"] = ((fallback.model, RankerStage(scorer, ranker)),)
        if config.reranker is not None:
            rules = Rules(config.reranker.rules, catalogue, self.origin.definitions)
            order = RuledStage(rules, has_user_features=False)
            rungs["reranker"] = ((order.name, RuledStage(rules)),)
        lists = self._lists(fallback)
        yield
        count, orders = 2 * config.requests.max_k, self.origin.shared.orders
        popular = PopularItems(fallback.popular, catalogue, count, orders)
        return rungs, MemoryAnswers(lists, popular, source, layout, self.view, order, items)

    def versions(self) -> tuple[dict[str, str], str | None]:
        """Return the versions of all models, and the part of the pipeline that cannot rank unknown items.

        Models in other units count too, so that every unit computes the same release name.
        """
        origin, previous = self.origin, self.origin.previous
        if previous is not None:
            return dict(previous.model_versions), previous.items.refused_by
        versions = {name: artifact.version for name, artifact in self._artifacts.items()}
        return versions, catalogue_only(origin.config, self._artifacts)

    def columns(self) -> frozenset[str] | None:
        """Return the feature columns that the pipeline reads, as ``columns_read`` does."""
        previous = self.origin.previous
        return (
            columns_read(self.origin.config, self._artifacts) if previous is None else previous.view.columns
        )

    @cached_property
    def _artifacts(self) -> dict[str, Artifact]:
        """All models of the pipeline by name. Call this after the stages and fallbacks of this unit are loaded."""
        return {
            name: self.models[name].artifact
            if name in self.models
            else Artifact.read(self.origin.home / model.artifact)
            for name, model in self.origin.config.models.items()
        }

    def _lists(self, fallback: FallbackConfig) -> UserLists:
        catalogue, previous = self.origin.catalogue, self.origin.previous
        if fallback.lists is None:
            return UserLists.none(catalogue)
        path = self.origin.home / fallback.lists
        if previous is not None and previous.memory is not None:
            return previous.memory.lists.over(catalogue, path)
        return read_lists(path, catalogue)

    def _features(self) -> FeaturesStage:
        config, previous, shared = self.origin.config, self.origin.previous, self.origin.shared
        before = None if previous is None else previous.stages.get("features")
        if isinstance(before, FeaturesStage):
            return FeaturesStage(self.view, before.store, shared.row_metrics)
        store, calls = config.features.store, config.units[config.ingress_unit].max_calls_in_flight
        readers = max(calls, shared.model_threads)
        reader = None if store is None else shared.stores.open(store, self.origin.home, readers)
        return FeaturesStage(self.view, reader, shared.row_metrics)

    def _ranker(self, ranker: RankerConfig) -> Steps[RankerStage]:
        if ranker.history_cache is None:
            return RankerStage((yield from self._scorer(ranker.model)), ranker)
        origin = self.origin
        before = None if origin.previous is None else origin.previous.stages.get("ranker")
        if isinstance(before, RankerStage) and isinstance(before.scorer, HistoryScorer):
            return RankerStage(before.scorer.over(origin.catalogue), ranker)
        scorer = HistoryScorer(
            origin.config.models[ranker.model],
            ranker.history_cache,
            origin.catalogue,
            origin.definitions,
            origin.home,
            origin.shared.histories,
            origin.shared.load_cut(origin.config.models[ranker.model]),
        )
        yield
        return RankerStage(scorer, ranker)

    def _scorer(self, model: str) -> Steps[ModelScorer]:
        origin = self.origin
        if model not in self.models:
            if origin.previous is not None:
                self.models[model] = origin.previous.models[model].over(origin.catalogue)
            else:
                self.models[model] = origin.shared.scorer(
                    origin.config.models[model], origin.catalogue, origin.home
                )
            yield
        return self.models[model]
