"""The schema of a pipeline's YAML. Each part is a frozen model, defined next to the code that uses it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from autoscale.config import AutoscalingConfig
from autoscale.pools import PoolConfig
from autoscale.registries.trust import Package, trusting
from models.served_log.kinds import FeedbackConfig
from models.training.config import TrainingConfig
from services.config.limits import RequestsConfig
from services.config.units import HttpConfig, Name, StageName, UnitConfig
from services.errors import ConfigError
from services.logs.traffic import RecordConfig
from services.logs.writer import LogConfig
from services.scheduling.response_cache import ResponseCacheConfig
from services.stages.candidates import CandidatesConfig, SourceConfig
from services.stages.custom import CustomStageConfig, refuse_same_names
from services.stages.fallback import FallbackConfig
from services.stages.features import FeaturesConfig
from services.stages.popular import PopularConfig
from services.stages.ranker import RankerConfig
from services.stages.reranker import RerankerConfig
from services.stages.scoring.scorer import ModelConfig


class PipelineConfig(BaseModel):
    """One ranking pipeline.

    All paths are relative to the home (``$RANKWAY_HOME`` or ``.rankway``). Unknown fields are refused.

    Attributes:
        deltas: the folder with the catalogue's deltas. Default: ``<catalogue>.deltas``.
        ranker: the model that scores the candidates. None: they are ordered by ``popular``.
        popular: the popularity that orders the candidates of a pipeline without a ranker. None: they keep their order.
        stages: custom stages from other packages. They run after the features or after the ranker, in this order.
        trust: the packages outside this repository whose code the pipeline may load. Other packages' code is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    catalogue: str
    deltas: str | None = None
    features: FeaturesConfig
    candidates: SourceConfig = CandidatesConfig()
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    ranker: RankerConfig | None = None
    popular: PopularConfig | None = None
    reranker: RerankerConfig | None = None
    fallback: FallbackConfig | None = None
    stages: tuple[CustomStageConfig, ...] = ()
    units: dict[Name, UnitConfig]
    pools: dict[Name, PoolConfig] = Field(default_factory=dict)
    autoscaling: AutoscalingConfig | None = None
    requests: RequestsConfig = RequestsConfig()
    http: HttpConfig = HttpConfig()
    log: LogConfig | None = None
    feedback: FeedbackConfig = FeedbackConfig()
    record: RecordConfig | None = None
    response_cache: ResponseCacheConfig | None = None
    training: TrainingConfig | None = None
    trust: tuple[Package, ...] = ()

    @property
    def deltas_folder(self) -> str:
        """The folder with the catalogue's deltas."""
        return self.deltas or f"{self.catalogue.rstrip('/')}.deltas"

    def stage_names(self) -> tuple[StageName, ...]:
        """Return the pipeline's stages in the order in which a request passes them."""
        parts: tuple[tuple[StageName, object], ...] = (("ranker", self.ranker), ("reranker", self.reranker))
        return ("features", *(stage for stage, part in parts if part is not None))

    def unit_of(self, stage: StageName) -> str:
        """Return the unit that runs the stage."""
        return next(name for name, unit in self.units.items() if stage in unit.stages)

    @property
    def ingress_unit(self) -> str:
        """The unit that answers HTTP. It also reads the features."""
        return self.unit_of("features")

    @property
    def ranker_unit(self) -> str:
        """The unit that orders the candidates: the ranker's, or the ingress of a pipeline without a ranker."""
        return self.ingress_unit if self.ranker is None else self.unit_of("ranker")

    def required_ranker(self) -> RankerConfig:
        """Return the ranker, for work that needs one.

        Raises:
            ConfigError: the pipeline has no ranker.
        """
        if self.ranker is None:
            raise ConfigError(
                f"missing in pipeline {self.name}; add ranker: {{model: NAME}}, models.NAME.artifact, and the stage "
                f"ranker in a unit",
                field="ranker",
            )
        return self.ranker

    @model_validator(mode="wrap")
    @classmethod
    def _only_trusted_code_is_loaded(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        with trusting(data.get("trust") if isinstance(data, dict) else None):
            return handler(data)

    @model_validator(mode="after")
    def _every_stage_has_one_unit(self) -> Self:
        placed = [stage for unit in self.units.values() for stage in unit.stages]
        for stage in self.stage_names():
            if placed.count(stage) != 1:
                raise ValueError(
                    f"units: stage {stage} must be in exactly one unit, got {placed.count(stage)} units; "
                    f"list it in units.<unit>.stages of one unit"
                )
        for stage in ("ranker", "reranker"):
            if stage in placed and stage not in self.stage_names():
                raise ValueError(
                    f"units: the stage {stage} is in a unit, but the pipeline has no {stage}; add a {stage} or "
                    f"remove the stage"
                )
        if self.reranker is not None and self.unit_of("reranker") != self.ingress_unit:
            raise ValueError(
                "units: the stages reranker and features must be in the same unit; move the reranker to the features"
            )
        if self.ranker_unit != self.ingress_unit and len(self.units[self.ranker_unit].stages) != 1:
            raise ValueError(
                "units: outside the ingress unit, the ranker must be the only stage of its unit; move the other stages "
                "to another unit"
            )
        return self

    @model_validator(mode="after")
    def _one_part_orders_the_candidates(self) -> Self:
        if self.ranker is not None and self.popular is not None:
            raise ValueError(
                "popular: orders the candidates of a pipeline without a ranker, and this one has a ranker; remove "
                "one of them. For answers without the ranker, set fallback.popular"
            )
        if self.ranker is None and self.fallback is not None and self.fallback.model is not None:
            raise ValueError(
                f"fallback.model: replaces the ranker, and the pipeline has none, got {self.fallback.model!r}; remove "
                f"it, or make it the ranker"
            )
        return self

    @model_validator(mode="after")
    def _stages_have_names_of_their_own(self) -> Self:
        refuse_same_names(self.stages)
        return self

    @model_validator(mode="after")
    def _pools_are_named(self) -> Self:
        for name, unit in self.units.items():
            for pool in unit.pools:
                if pool not in self.pools:
                    raise ValueError(
                        f"units.{name}.pools: unknown pool, got {pool!r}; describe it under pools, or name one of "
                        f"{sorted(self.pools)}"
                    )
                if unit.pools[pool].replicas == 0 and self.autoscaling is None:
                    raise ValueError(
                        f"units.{name}.pools.{pool}.replicas: must be at least 1 without autoscaling, got 0; "
                        f"raise it or remove the pool"
                    )
        ingress = self.units[self.ingress_unit].pools
        if len(ingress) > 1:
            raise ValueError(
                f"units.{self.ingress_unit}.pools: the unit that answers HTTP must be in one pool, got "
                f"{', '.join(ingress)}; keep one, or move the ranker to its own unit, which may be in several "
                f"pools"
            )
        return self

    @model_validator(mode="after")
    def _scaled_units_are_named(self) -> Self:
        if self.autoscaling is None:
            return self
        placed = {f"{name}@{pool}" for name, unit in self.units.items() for pool in unit.pools}
        for field, named in (("shares", self.autoscaling.shares), ("bounds", self.autoscaling.bounds)):
            known = sorted({*self.units, *(placed if field == "bounds" else ())})
            for name in named:
                if name not in known:
                    raise ValueError(f"autoscaling.{field}: unknown unit, got {name!r}; name one of {known}")
        return self

    @model_validator(mode="after")
    def _models_are_named(self) -> Self:
        for stage in ("ranker", "reranker", "fallback"):
            part = getattr(self, stage)
            model = None if part is None else part.model
            if model is not None and model not in self.models:
                raise ValueError(
                    f"{stage}.model: unknown model, got {model!r}; describe it under models, or name one of "
                    f"{sorted(self.models)}"
                )
        return self
