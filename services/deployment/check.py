"""Checks for ``rankway check`` beyond the YAML: the named data and models exist and fit together."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from autoscale.config import make_policy
from autoscale.errors import AutoscaleError
from autoscale.spec import PipelineSpec
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.view import FeatureView
from models.runtimes import load_cut_runtime
from models.text.scorer import check_texts
from services.autoscaling.spec import lowered, needed_profiles
from services.config.pipeline import PipelineConfig
from services.config.placement import sharded_runtime
from services.config.runtimes import resolved
from services.deployment.check_plugins import check_source, check_stages, prepared, runtime_faults
from services.errors import ConfigError, with_field
from services.logs.folder import LogFolder
from services.releases.warmup import sample_batch
from services.stages.candidates import candidate_source
from services.stages.context import ContextLayout
from services.stages.fallback import read_lists
from services.stages.features import load_definitions, open_view, refuse_other_features
from services.stages.popular import PopularItems
from services.stages.reranker import diversity_vectors
from services.stages.selection.rules import Rules
from services.stages.updates.live_folder import LiveFolder
from services.stores import check_store


def check_artifacts(config: PipelineConfig, home: Path) -> list[str]:
    """Return every fault as a line with field, problem and remedy. The list is empty if the pipeline can be served."""
    return Preflight(config, home).faults()


@contextmanager
def collected(faults: list[str], field: str | None = None) -> Iterator[None]:
    """Append the block's error to ``faults``, and continue after the block.

    ``field`` is the configuration field for errors that name none.
    """
    try:
        yield
    except (ConfigError, ModelError, AutoscaleError) as error:
        named = error.field if isinstance(error, ConfigError) and error.field else field
        faults.append(with_field(named, str(error)))


class Preflight:
    """A pipeline before it is served. Definitions, catalogue and spec are read only once."""

    def __init__(self, config: PipelineConfig, home: Path) -> None:
        """Prepare the checks. This reads nothing."""
        self.config, self.home = config, home
        self._faults: list[str] = []

    @cached_property
    def definitions(self) -> FeatureSet | None:
        """The feature definitions. If they cannot be read, the value is None and a fault is added."""
        definitions = None
        with collected(self._faults):
            definitions = load_definitions(self.home / self.config.features.definitions)
        return definitions

    @cached_property
    def catalogue(self) -> Catalogue | None:
        """The catalogue. If it cannot be opened, the value is None and a fault is added."""
        catalogue = None
        with collected(self._faults, "catalogue"):
            catalogue = Catalogue.open(settled(self.home / self.config.catalogue))
        return catalogue

    @cached_property
    def spec(self) -> PipelineSpec:
        """The pipeline as autoscaling policies see it.

        Raises:
            AutoscaleError: a profile is missing, or a replica does not fit a node of its pool.
        """
        return lowered(self.config, needed_profiles(self.config, self.home))

    def faults(self) -> list[str]:
        """Return every fault as a line with field, problem and remedy.

        The list is empty if the pipeline can be served.
        """
        faults, config = self._faults, self.config
        with collected(faults):
            config = self.config = resolved(config, self.home)
            for unit in config.units:
                sharded_runtime(config, unit)
        definitions = self.definitions
        with collected(faults):
            if config.features.store is not None:
                check_store(config.features.store, self.home)
        with collected(faults):
            if config.autoscaling is not None:
                make_policy(config.autoscaling, self.spec)
            else:
                _ = self.spec
        for field, part in (("log.path", config.log), ("record.path", config.record)):
            with collected(faults):
                if part is not None:
                    LogFolder.at(part.path, self.home, field=field)
        if self.catalogue is not None and definitions is not None:
            with collected(faults, "catalogue"):
                self._check_catalogue(self.catalogue, definitions)
        faults += runtime_faults(config)
        for name in config.models:
            with collected(faults, f"models.{name}.artifact"):
                self._check_model(name)
        # A missing artifact is found twice, because no runtime can be chosen for it either.
        return list(dict.fromkeys(faults))

    def _check_catalogue(self, catalogue: Catalogue, definitions: FeatureSet) -> None:
        config, home = self.config, self.home
        refuse_other_features(catalogue, definitions)
        LiveFolder(home, config.name, config.features.live).refuse_lost(definitions)
        open_view(config.features, definitions, catalogue, home)
        check_source(config, candidate_source(config.candidates, catalogue, definitions), definitions)
        check_stages(config, catalogue, definitions, home)
        if config.reranker is not None:
            Rules(config.reranker.rules, catalogue, definitions)
            if config.reranker.diversity is not None:
                diversity_vectors(config.reranker.diversity, catalogue)
        if config.fallback is not None:
            PopularItems(config.fallback.popular, catalogue, 1)
            if config.fallback.lists is not None:
                read_lists(home / config.fallback.lists, catalogue)

    def _check_model(self, name: str) -> None:
        config, definitions = self.config, self.definitions
        root = settled(self.home / config.models[name].artifact)
        artifact = Artifact.load(root, feature_hash=None if definitions is None else definitions.content_hash)
        try:
            self._check_inputs(artifact, root)
            if config.ranker.history_cache is not None and name == config.ranker.model:
                load_cut_runtime(root, artifact, config.models[name].runtime)
        except KeyError as error:
            raise ConfigError(
                f"the model needs the input {error}, which neither the feature definitions nor an earlier stage "
                f"provides; define it, or train the model without it"
            ) from error
        outputs = {spec.name for spec in artifact.signature.outputs}
        for stage in (config.ranker, config.reranker, config.fallback):
            if stage is not None and stage.model == name and stage.output not in outputs:
                raise ConfigError(
                    f"the model has no output {stage.output!r}, which a stage names, got {', '.join(sorted(outputs))}; "
                    f"set this stage's field output to one of these"
                )

    def _check_inputs(self, artifact: Artifact, root: Path) -> None:
        """Assemble every input once, to find an undefined source here and not at start-up."""
        if self.catalogue is None or self.definitions is None:
            return
        layout, view = ContextLayout(self.definitions), FeatureView(self.definitions, self.catalogue)
        batch = sample_batch(layout, view, len(self.catalogue), 1, 1)
        batch = prepared(self.config, self.catalogue, self.definitions, self.home, batch)
        if artifact.signature.pair is None:
            InputAssembler(artifact.signature, self.catalogue)(batch)
        else:
            check_texts(root, artifact.signature.pair, self.catalogue, batch)
