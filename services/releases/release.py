"""Releases: the model, catalogue and feature versions that belong together, loaded and ready."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.artifact import Artifact
from models.atomic_directory import settled
from models.features.definition import FeatureSet
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.errors import ConfigError
from services.releases.shared_parts import SharedParts
from services.releases.throttle import Rest, no_rest
from services.scheduling.ladder import Ladder, Rung
from services.stages.base import AnyStage, Stage, WaitingStage
from services.stages.candidates import CandidateSource, candidate_source
from services.stages.context import ContextLayout
from services.stages.fallback import FallbackConfig, MemoryAnswers, read_lists
from services.stages.features import FeaturesStage, load_definitions, open_watched_view
from services.stages.popular import PopularItems
from services.stages.ranker import RankerConfig, RankerStage
from services.stages.reranker import BestStage, RerankerStage, RuledStage
from services.stages.scoring.history_cache import LookupCounts, NoCounts
from services.stages.scoring.history_scorer import HistoryScorer
from services.stages.scoring.scorer import ModelScorer, Scorer
from services.stages.selection.rules import Rules
from services.stages.updates.live_folder import LiveFolder
from services.stages.updates.refresh import Identity, Refresher
from services.telemetry.metrics import RowMetrics


def release_name(catalogue_version: str, feature_hash: str, model_versions: Mapping[str, str]) -> str:
    """Give the name of what belongs together: 12 hex digits, the same wherever and whenever it is put together."""
    content = [catalogue_version, feature_hash, *(f"{n}={v}" for n, v in sorted(model_versions.items()))]
    return hashlib.sha256("|".join(content).encode()).hexdigest()[:12]


class Release:
    """One release as one unit holds it: data maps, and the local stages that unit runs."""

    def __init__(
        self,
        config: PipelineConfig,
        home: Path,
        stages: Sequence[StageName],
        row_metrics: RowMetrics | None = None,
        shared: SharedParts | None = None,
        histories: LookupCounts | None = None,
        rest: Rest = no_rest,
    ) -> None:
        """Load what the named stages need; ``row_metrics`` hears of stored rows that cannot be read.

        shared: what other releases of this process have loaded. histories: hears of the history cache.

        Raises:
            ConfigError: the configuration names what is not there. ModelError: an artifact cannot be used.
        """
        shared = shared or SharedParts()
        self._rest = rest
        self.definitions: FeatureSet = load_definitions(home / config.features.definitions)
        rest()
        self.catalogue = shared.catalogue(settled(home / config.catalogue))
        rest()
        found = self.catalogue.manifest.feature_hash
        if found != self.definitions.content_hash:
            raise ConfigError(
                f"catalogue {config.catalogue} has feature hash {found}, the definitions' is "
                f"{self.definitions.content_hash}: build them together again",
                field="catalogue",
            )
        self.layout = ContextLayout(self.definitions)
        live = LiveFolder(home, config.name, config.features.live)
        live.refuse_lost(self.definitions)
        self.view, folders = open_watched_view(config.features, self.definitions, self.catalogue, home)
        live.leave_mark()
        rest()
        self.models: dict[str, ModelScorer] = {}
        self._home = home
        self._config = config
        self._row_metrics = row_metrics
        self._shared = shared
        self._histories = histories or NoCounts()
        self.source: CandidateSource = candidate_source(config.candidates, self.catalogue, self.definitions)
        rest()
        self.stages: dict[StageName, Stage] = {name: self._stage(name) for name in stages}
        self.fallbacks: dict[StageName, tuple[tuple[str, Stage], ...]] = {}
        self.memory: MemoryAnswers | None = None
        if config.fallback is not None and "features" in stages:
            self._load_fallbacks(config.fallback)
        # From the manifests of all models, those of other units included: every unit gives it the same name.
        self.model_versions = {
            name: self.models[name].artifact.version
            if name in self.models
            else Artifact.read(home / model.artifact).version
            for name, model in config.models.items()
        }
        self.name = release_name(self.catalogue.manifest.version, found, self.model_versions)
        self.versions = {**self.model_versions, "release": self.name}
        """What an answer says it was made with."""
        watching = folders if "features" in stages else []
        self._refresher = Refresher(watching, config.features.refresh_s, row_metrics)

    @property
    def taken(self) -> tuple[Identity, ...]:
        """Say which overlay and live item features are in use."""
        return self._refresher.taken

    def pipeline(self, remote: dict[StageName, AnyStage]) -> list[Ladder]:
        """Give all stages in a request's order, each with its rungs: ``remote`` ones for those held elsewhere."""
        order: list[Ladder] = []
        for name in self._config.stage_names():
            stage = remote.get(name) or self.stages.get(name)
            if stage is None:
                raise ConfigError(
                    f"stage {name} is in no unit: name it in units.<unit>.stages", field="units"
                )
            if isinstance(stage, FeaturesStage) and stage.waits:
                stage = WaitingStage(stage)
            below = [Rung(rung, fallback) for rung, fallback in self.fallbacks.get(name, ())]
            order.append(Ladder(name, [Rung(name, stage), *below]))
        if self._config.reranker is None:
            order.append(Ladder.from_stage(BestStage()))
        return order

    def retire(self) -> None:
        """Stop looking after what a batch may still be using; the rest goes with the last reference."""
        self._refresher.stop()

    def close(self) -> None:
        """Let go of the store, whoever else reads it, as a process can open it but once; and of the folders."""
        self._refresher.close()
        features = self.stages.get("features")
        if isinstance(features, FeaturesStage):
            features.close()

    def _slot(self, model: str) -> ModelScorer:
        if model not in self.models:
            self.models[model] = self._shared.scorer(self._config.models[model], self.catalogue, self._home)
            self._rest()
        return self.models[model]

    def _ranker(self, ranker: RankerConfig) -> Scorer:
        if ranker.history_cache is None:
            return self._slot(ranker.model)
        model = self._config.models[ranker.model]
        return HistoryScorer(
            model, ranker.history_cache, self.catalogue, self.definitions, self._home, self._histories
        )

    def _load_fallbacks(self, fallback: FallbackConfig) -> None:
        """What an ingress puts in the place of a stage that fails or comes too late."""
        reranker = self._config.reranker
        order: BestStage | RuledStage = BestStage()
        if fallback.model is not None:
            ranker = RankerConfig(model=fallback.model, output=fallback.output)
            self.fallbacks["ranker"] = ((fallback.model, RankerStage(self._slot(fallback.model), ranker)),)
        if reranker is not None:
            rules = Rules(reranker.rules, self.catalogue, self.definitions)
            order = RuledStage(rules, has_user_features=False)
            self.fallbacks["reranker"] = ((order.name, RuledStage(rules)),)
        lists = {} if fallback.lists is None else read_lists(self._home / fallback.lists, self.catalogue)
        popular = PopularItems(fallback.popular, self.catalogue, 2 * self._config.requests.max_k)
        self.memory = MemoryAnswers(lists, popular, self.source, self.layout, self.view, order)

    def _stage(self, name: StageName) -> Stage:
        config = self._config
        if name == "features":
            store = config.features.store
            readers = config.units[config.ingress_unit].max_calls_in_flight
            opened = None if store is None else self._shared.stores.open(store, self._home, readers)
            return FeaturesStage(self.view, opened, self._row_metrics)
        if name == "ranker":
            return RankerStage(self._ranker(config.ranker), config.ranker)
        if config.reranker is None:
            raise ConfigError(
                "a unit has the stage reranker, the pipeline has none: add reranker", field="units"
            )
        return RerankerStage(
            self._slot(config.reranker.model), config.reranker, self.catalogue, self.definitions
        )
