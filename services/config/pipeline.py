"""The pipeline's YAML as one closed tree, assembled from the frozen parts that lie beside their consumers."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoscale.config import AutoscalingConfig
from autoscale.pools import PoolConfig
from models.training.config import TrainingConfig
from services.config.limits import RequestsConfig
from services.errors import ConfigError
from services.logs.traffic import RecordConfig
from services.logs.writer import LogConfig
from services.scheduling.batcher import BatchingConfig
from services.scheduling.response_cache import ResponseCacheConfig
from services.stages.candidates import CandidatesConfig
from services.stages.fallback import FallbackConfig
from services.stages.features import FeaturesConfig
from services.stages.model_slot import ModelConfig
from services.stages.ranker import RankerConfig
from services.stages.reranker import RerankerConfig

StageName = Literal["features", "ranker", "reranker"]
# Serve joins names of applications, deployments and replicas with "#" and "/".
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
LOCAL_POOL = "local"
"""Where a unit is that names no pools; ``pools`` may describe it."""


class PlacedUnitConfig(BaseModel):
    """A unit in one pool. cpus, replicas, profile: as the unit's own where they are not given.

    weight: its share of the unit's candidates beside the other pools, while no policy decides it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float | None = Field(default=None, ge=0, le=1024)
    gpus: float = Field(default=0.0, ge=0, le=64)
    replicas: int | None = Field(default=None, ge=0, le=10_000)
    weight: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    profile: str | None = Field(default=None, min_length=1)


class UnitConfig(BaseModel):
    """One or more stages in one process: the thing scaled and priced.

    max_calls_in_flight: batches a replica may have begun at once, those away at another unit included.
    max_ongoing_requests: past it the replica refuses before parsing.
    profile: file of what ``rankway models bench`` measured of it; what simulator, policies and planner read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[StageName, ...] = Field(min_length=1)
    replicas: int = Field(default=1, ge=1, le=10_000)
    cpus: float = Field(default=1.0, ge=0, le=1024)
    batching: BatchingConfig = BatchingConfig()
    max_calls_in_flight: int = Field(default=1, ge=1, le=256)
    max_ongoing_requests: int = Field(default=4096, ge=1, le=1_000_000)
    pools: dict[Name, PlacedUnitConfig] = Field(default_factory=dict)
    profile: str | None = Field(default=None, min_length=1)


class HttpConfig(BaseModel):
    """Where the endpoint listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)  # an empty one would be all of them
    port: int = Field(default=8000, ge=1, le=65_535)


class PipelineConfig(BaseModel):
    """One ranking pipeline. All paths are relative to the home (``$RANKWAY_HOME`` or ``.rankway``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    catalogue: str
    features: FeaturesConfig
    candidates: CandidatesConfig = CandidatesConfig()
    models: dict[str, ModelConfig]
    ranker: RankerConfig
    reranker: RerankerConfig | None = None
    fallback: FallbackConfig | None = None
    units: dict[Name, UnitConfig]
    pools: dict[Name, PoolConfig] = Field(default_factory=dict)
    autoscaling: AutoscalingConfig | None = None
    requests: RequestsConfig = RequestsConfig()
    http: HttpConfig = HttpConfig()
    log: LogConfig | None = None
    record: RecordConfig | None = None
    response_cache: ResponseCacheConfig | None = None
    training: TrainingConfig | None = None

    def stage_names(self) -> tuple[StageName, ...]:
        """Give the pipeline's stages in a request's order."""
        return ("features", "ranker") if self.reranker is None else ("features", "ranker", "reranker")

    def unit_of(self, stage: StageName) -> str:
        """Give the unit that runs the stage."""
        return next(name for name, unit in self.units.items() if stage in unit.stages)

    @property
    def ingress_unit(self) -> str:
        """The unit that answers HTTP: the one that reads features."""
        return self.unit_of("features")

    @model_validator(mode="after")
    def _every_stage_has_one_unit(self) -> Self:
        placed = [stage for unit in self.units.values() for stage in unit.stages]
        for stage in self.stage_names():
            if placed.count(stage) != 1:
                raise ValueError(
                    f"units: stage {stage} is in {placed.count(stage)} units; name it in exactly one"
                )
        if "reranker" in placed and self.reranker is None:
            raise ValueError(
                "units: the stage reranker is placed, but the pipeline has no reranker; add or drop it"
            )
        if self.reranker is not None and self.unit_of("reranker") != self.ingress_unit:
            raise ValueError(
                "units: the reranker runs beside the features, in the ingress unit; place it there"
            )
        if (
            self.unit_of("ranker") != self.ingress_unit
            and len(self.units[self.unit_of("ranker")].stages) != 1
        ):
            raise ValueError(
                "units: a ranker outside the ingress unit has a unit of its own; place no other there"
            )
        return self

    @model_validator(mode="after")
    def _pools_are_named(self) -> Self:
        for name, unit in self.units.items():
            for pool in unit.pools:
                if pool not in self.pools:
                    raise ValueError(
                        f"units.{name}.pools: {pool!r} is not in pools; name one of {sorted(self.pools)}"
                    )
                if unit.pools[pool].replicas == 0 and self.autoscaling is None:
                    raise ValueError(
                        f"units.{name}.pools.{pool}.replicas: 0 needs autoscaling; give 1 or more, or drop the pool"
                    )
        ingress = self.units[self.ingress_unit].pools
        if len(ingress) > 1:
            raise ValueError(
                f"units.{self.ingress_unit}.pools: the unit that answers HTTP is one deployment, in one pool; "
                f"it names {', '.join(ingress)}: keep one, or give the ranker a unit of its own, "
                f"which may be in several"
            )
        return self

    @model_validator(mode="after")
    def _scaled_units_are_named(self) -> Self:
        if self.autoscaling is None:
            return self
        placed = {f"{name}@{pool}" for name, unit in self.units.items() for pool in unit.pools}
        for field, given in (("shares", self.autoscaling.shares), ("bounds", self.autoscaling.bounds)):
            known = sorted({*self.units, *(placed if field == "bounds" else ())})
            for name in given:
                if name not in known:
                    raise ValueError(f"autoscaling.{field}: there is no {name!r}; name one of {known}")
        return self

    @model_validator(mode="after")
    def _models_are_named(self) -> Self:
        used = [("ranker", self.ranker.model)]
        if self.reranker is not None:
            used.append(("reranker", self.reranker.model))
        if self.fallback is not None and self.fallback.model is not None:
            used.append(("fallback", self.fallback.model))
        for stage, model in used:
            if model not in self.models:
                raise ValueError(
                    f"{stage}.model: {model!r} is not in models; name one of {sorted(self.models)}"
                )
        return self


def load_config(path: Path) -> PipelineConfig:
    """Read and validate one YAML file.

    Raises:
        ConfigError: every fault in it, one a line: field, what was wrong, the value.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _ClosedLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a mapping of fields: see configs/walks.yaml for one that is")
    return validated(data, str(path))


def validated(data: dict[str, Any], source: str) -> PipelineConfig:
    """Give the configuration that ``data`` from ``source`` describes.

    Raises:
        ConfigError: every fault in it, one a line: field, what was wrong, the value.
    """
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {line}" for line in _fault_lines(error, data))) from error


class _ClosedLoader(yaml.SafeLoader):
    """Refuses a key that is given twice; YAML's own loader keeps the last and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} is given twice; keep one", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def _fault_lines(error: ValidationError, data: dict[str, Any]) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        field = _field(fault["loc"], data)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            lines.append(f"{field}: no such field; remove it or mend its name")
        elif fault["type"] == "missing":
            lines.append(f"{field}: missing; add it")
        else:
            shown = "" if isinstance(fault["input"], dict) else f" (it is {fault['input']!r})"
            # What holds between fields has no field of its own; the message names those it is about.
            lines.append(f"{field}: {message}{shown}" if field else message)
    return lines


def _field(location: tuple[int | str, ...], data: Any) -> str:
    """Give the field's path in the data: pydantic adds the ``kind`` of what may be of several."""
    path = []
    for part in location:
        if isinstance(data, dict) and part not in data and part == data.get("kind"):
            continue
        path.append(str(part))
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
    return ".".join(path)
