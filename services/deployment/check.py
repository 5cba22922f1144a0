"""Checks for ``rankway check`` beyond the YAML: the named data and models exist and fit together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from autoscale.config import make_policy
from autoscale.errors import AutoscaleError
from autoscale.spec import PipelineSpec
from models.artifact import Artifact
from models.atomic_directory import settled
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.features.definition import FeatureSet
from models.features.deltas.folder import open_grown
from services.autoscaling.spec import lowered, needed_profiles
from services.config.instances import refuse_instances
from services.config.pipeline import PipelineConfig
from services.config.placement import sharded_runtime
from services.config.runtimes import resolved
from services.deployment.check_models import ModelCheck
from services.deployment.check_plugins import check_source, check_stages, missing_packages, runtime_faults
from services.deployment.trial import tried
from services.errors import ConfigError, with_field
from services.logs.folder import LogFolder
from services.stages.candidates import candidate_source
from services.stages.features import load_definitions, open_view, refuse_other_features
from services.stages.popular import PopularItems
from services.stages.reranker import diversity_vectors
from services.stages.selection.rules import Rules
from services.stages.unranked import unranked_stage
from services.stages.updates.live_folder import LiveFolder
from services.stages.user_lists import read_lists
from services.stores import check_store

_SHOWN = 200  # characters of a path that an error repeats
OpenedModels = Literal["all", "small", "none"]


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
    except OSError as error:  # such as a path that is longer than the file system allows
        place = "" if error.filename is None else f", got {str(error.filename)[:_SHOWN]!r}"
        faults.append(with_field(field, f"cannot be read ({error.strerror}){place}; correct the path"))


def _faults_of(field: str, check: Callable[[], None]) -> list[str]:
    faults: list[str] = []
    with collected(faults, field):
        check()
    return faults


class Preflight:
    """A pipeline before it is served. Definitions, catalogue and spec are read only once.

    Attributes:
        notes: checks that were left out on this machine, and why.
    """

    def __init__(self, config: PipelineConfig, home: Path) -> None:
        """Prepare the checks. This reads nothing."""
        self.config, self.home = config, home
        self.notes: list[str] = []
        self._faults: list[str] = []

    @cached_property
    def definitions(self) -> FeatureSet | None:
        """The feature definitions. If they cannot be read, the value is None and a fault is added."""
        definitions = None
        with collected(self._faults, "features.definitions"):
            definitions = load_definitions(self.home / self.config.features.definitions)
        return definitions

    @cached_property
    def catalogue(self) -> Catalogue | None:
        """The catalogue. If it cannot be opened, the value is None and a fault is added."""
        catalogue = None
        with collected(self._faults, "catalogue"):
            catalogue = open_grown(
                settled(self.home / self.config.catalogue), self.home / self.config.deltas_folder
            )
            if catalogue.state:
                self.notes.append(
                    f"catalogue: {catalogue.label}, {catalogue.item_count:,} items with its deltas"
                )
        return catalogue

    @cached_property
    def spec(self) -> PipelineSpec:
        """The pipeline as autoscaling policies see it.

        Raises:
            AutoscaleError: a profile is missing, or a replica does not fit a node of its pool.
        """
        return lowered(self.config, needed_profiles(self.config, self.home))

    def faults(self, *, opens: OpenedModels = "none", is_served_here: bool = True) -> list[str]:
        """Return every fault as a line with field, problem and remedy.

        The list is empty if the pipeline can be served.

        Args:
            opens: the models to open and to run on a batch, if they can run here: all, the small ones of ONNX Runtime,
                or none. A replica opens its models in any case when it starts.
            is_served_here: whether this installation will serve the pipeline. Otherwise a package that is missing
                here is a note, not a fault.
        """
        faults, config = self._faults, self.config
        with collected(faults):
            config = self.config = resolved(config, self.home)
            for unit in config.units:
                sharded_runtime(config, unit)
                refuse_instances(config, unit)
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
        failing = runtime_faults(config)
        faults += failing
        if is_served_here:
            faults += missing_packages(config)
        self._check_models(opens, failing)
        # A missing artifact is found twice, because no runtime can be chosen for it either.
        return list(dict.fromkeys(faults))

    def _check_models(self, opens: OpenedModels, failing: Sequence[str]) -> None:
        """Check the artifacts, and open the models whose runtime is not among the ``failing`` lines."""
        models = ModelCheck(self.config, self.home, self.catalogue, self.definitions)
        for name in self.config.models:
            with collected(self._faults, f"models.{name}.artifact"):
                artifact = models.check(name)
                is_failing = any(line.startswith(f"models.{name}.runtime") for line in failing)
                if not is_failing and (opens == "all" or (opens == "small" and models.is_small(name))):
                    faults = self._open(models, name, artifact)
                    if faults:
                        self._faults += faults
                        continue
                artifact.check_version(self.home / self.config.models[name].artifact)

    def _open(self, models: ModelCheck, name: str, artifact: Artifact) -> list[str]:
        """Run a model in a process of its own, and return its faults. If it cannot run here, add a note."""
        why_not = models.why_not_opened(name)
        if why_not is not None:
            self.notes.append(f"models.{name}: not opened here, because {why_not}")
            return []
        return tried(partial(_faults_of, f"models.{name}.artifact", partial(models.run, name, artifact)))

    def _check_catalogue(self, catalogue: Catalogue, definitions: FeatureSet) -> None:
        config, home = self.config, self.home
        refuse_other_features(catalogue, definitions)
        LiveFolder(home, config.name, config.features.live).refuse_lost(definitions)
        open_view(config.features, definitions, catalogue, home)
        check_source(config, candidate_source(config.candidates, catalogue, definitions), definitions)
        check_stages(config, catalogue, definitions, home)
        if config.ranker is None:
            unranked_stage(config.popular, catalogue)
        if config.reranker is not None:
            Rules(config.reranker.rules, catalogue, definitions)
            if config.reranker.diversity is not None:
                diversity_vectors(config.reranker.diversity, catalogue)
        if config.fallback is not None:
            PopularItems(config.fallback.popular, catalogue, 1)
            if config.fallback.lists is not None:
                read_lists(home / config.fallback.lists, catalogue)
