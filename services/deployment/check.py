"""What ``rankway check`` looks at beyond the YAML itself: that the named data and models are there and fit."""

from pathlib import Path

from autoscale.advice import call_limited, meaningless, sizing_of, unreachable
from autoscale.config import make_policy
from autoscale.errors import AutoscaleError
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.runtimes import load_cut_runtime
from models.text.scorer import check_texts
from services.autoscaling.spec import lowered, needed_profiles, spec_of
from services.config.pipeline import PipelineConfig
from services.config.placement import sharded_runtime
from services.config.runtimes import resolved
from services.errors import ConfigError
from services.logs.folder import LogFolder
from services.releases.warmup import sample_batch
from services.stages.candidates import candidate_source
from services.stages.context import ContextLayout
from services.stages.fallback import read_lists
from services.stages.features import load_definitions, open_view
from services.stages.popular import PopularItems
from services.stages.reranker import diversity_vectors
from services.stages.selection.rules import Rules
from services.stages.updates.live_folder import LiveFolder
from services.stores import check_store
from services.stores.base import RedisConfig


def check_artifacts(config: PipelineConfig, home: Path) -> list[str]:
    """Give every fault, a line each: field, what is wrong, the remedy. Empty when it can be served."""
    faults: list[str] = []
    try:
        config = resolved(config, home)
        for unit in config.units:
            sharded_runtime(config, unit)
    except ConfigError as error:
        faults.append(f"{error.field}: {error}")
    try:
        definitions = load_definitions(home / config.features.definitions)
    except ConfigError as error:
        definitions = None
        faults.append(f"{error.field}: {error}")
    if config.features.store is not None:
        try:
            check_store(config.features.store, home)
        except ConfigError as error:
            faults.append(f"{error.field}: {error}")
    try:
        spec = lowered(config, needed_profiles(config, home))
        if config.autoscaling is not None:
            make_policy(config.autoscaling, spec)
    except AutoscaleError as error:
        faults.append(str(error))
    if config.log is not None:
        try:
            LogFolder.at(config.log.path, home, field="log.path")
        except ConfigError as error:
            faults.append(f"{error.field}: {error}")
    try:
        catalogue = Catalogue.open(settled(home / config.catalogue))
    except ModelError as error:
        catalogue = None
        faults.append(f"catalogue: {error}")
    if catalogue is not None and definitions is not None:
        faults += _catalogue_faults(config, catalogue, definitions, home)
    for name in config.models:
        fault = _model_fault(config, name, home, catalogue, definitions)
        if fault is not None:
            faults.append(f"models.{name}.artifact: {fault}")
    return list(dict.fromkeys(faults))  # a missing artifact has no runtime to choose, either


def scaling_warnings(config: PipelineConfig, home: Path) -> list[str]:
    """Return warnings: the policy does what a simpler one does, the objective is out of reach, calls limit a unit."""
    scaling, limited = config.autoscaling, _call_warnings(config, home)
    if scaling is None:
        return limited
    spec = lowered(config, needed_profiles(config, home))
    kind = scaling.policy.kind
    why = meaningless(scaling, spec).get(kind)
    said = [] if why is None else [f"autoscaling.policy.kind: {kind} adds nothing here: {why}"]
    return [*said, *unreachable(scaling, spec), *limited]


def _call_warnings(config: PipelineConfig, home: Path) -> list[str]:
    """Return warnings of units that their calls to the next one limit; it takes the profiles of both to know."""
    try:
        spec = spec_of(config, home)
    except AutoscaleError:
        return []
    return call_limited(spec, sizing_of(config.autoscaling, spec))


def idle_policies(config: PipelineConfig, home: Path) -> dict[str, str]:
    """Give the other policies that would add nothing to a simpler one in this pipeline, and why."""
    if config.autoscaling is None:
        return {}
    profiles = needed_profiles(config, home)
    found = meaningless(config.autoscaling, lowered(config, profiles))
    told = {config.autoscaling.policy.kind} | (
        set() if profiles else {"predictive"}
    )  # it depends on start-up times
    return {kind: why for kind, why in found.items() if kind not in told}


def store_warnings(config: PipelineConfig, home: Path) -> list[str]:
    """Say what a store that is another process lacks; a pipeline is served without it, with default features."""
    store = config.features.store
    if not isinstance(store, RedisConfig):
        return []
    from services.stores.redis_client import server_fault

    fault = server_fault(store, home)
    return [] if fault is None else [f"features.store: {fault}. Until then answers have default features"]


def _catalogue_faults(
    config: PipelineConfig, catalogue: Catalogue, definitions: FeatureSet, home: Path
) -> list[str]:
    found, wanted = catalogue.manifest.feature_hash, definitions.content_hash
    if found != wanted:
        return [
            f"catalogue: its feature hash is {found}, features.definitions has {wanted}: "
            f"build them together again"
        ]
    faults: list[str] = []
    try:
        LiveFolder(home, config.name, config.features.live).refuse_lost(definitions)
        open_view(config.features, definitions, catalogue, home)
        candidate_source(config.candidates, catalogue, definitions)
        if config.reranker is not None:
            Rules(config.reranker.rules, catalogue, definitions)
            if config.reranker.diversity is not None:
                diversity_vectors(config.reranker.diversity, catalogue)
        if config.fallback is not None:
            PopularItems(config.fallback.popular, catalogue, 1)
            if config.fallback.lists is not None:
                read_lists(home / config.fallback.lists, catalogue)
    except ConfigError as error:
        faults.append(f"{error.field}: {error}")
    return faults


def _model_fault(
    config: PipelineConfig,
    name: str,
    home: Path,
    catalogue: Catalogue | None,
    definitions: FeatureSet | None,
) -> str | None:
    root = settled(home / config.models[name].artifact)
    try:
        artifact = Artifact.load(
            root,
            feature_hash=None if definitions is None else definitions.content_hash,
        )
        if catalogue is not None and definitions is not None:
            # Every input is assembled once: a source that the definitions lack shows here, not at start-up.
            layout, view = ContextLayout(definitions), FeatureView(definitions, catalogue)
            batch = sample_batch(layout, view, len(catalogue), 1, 1)
            if artifact.signature.pair is None:
                InputAssembler(artifact.signature, catalogue)(batch)
            else:
                check_texts(root, artifact.signature.pair, catalogue, batch)
        if config.ranker.history_cache is not None and name == config.ranker.model:
            load_cut_runtime(root, artifact, config.models[name].runtime)
    except ModelError as error:
        return str(error)
    except KeyError as error:
        return f"it takes {error}, which neither the feature definitions nor an earlier stage give"
    given = {spec.name for spec in artifact.signature.outputs}
    for stage in (config.ranker, config.reranker, config.fallback):
        if stage is not None and stage.model == name and stage.output not in given:
            return (
                f"it has no output {stage.output!r}, which a stage takes; it gives {', '.join(sorted(given))}"
            )
    return None
