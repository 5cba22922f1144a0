"""Load a release in steps: its data, the stages that the unit runs, and their fallbacks.

If a load fails, or the caller abandons it, nothing stays open. Each part is closed with the last reference to it, like
the parts that releases share. The thread that watches folders for changes is started last.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from models.atomic_directory import settled
from models.features.deltas.folder import DeltaFolder
from services.config.pipeline import PipelineConfig
from services.config.units import StageName
from services.releases.parts import Origin, PartsLoader
from services.releases.release import Fallbacks, LiveRelease, Release
from services.releases.shared_parts import SharedParts
from services.releases.steps import Steps, complete
from services.releases.warmup import warm_steps
from services.scheduling.ladder import Ladder
from services.stages.base import Stage
from services.stages.candidates import candidate_source, extent_of
from services.stages.context import ContextLayout
from services.stages.custom import CustomStages, StageContext
from services.stages.fallback import MemoryAnswers
from services.stages.features import load_definitions, open_watched_view, refuse_other_features
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
    return (yield from _warmed(release, ladders_of))


def grown_release_steps(
    release: Release,
    home: Path,
    stages: Sequence[StageName],
    shared: SharedParts,
    ladders_of: Callable[[Release], Sequence[Ladder]],
) -> Steps[LiveRelease]:
    """Make a release again with all deltas that its catalogue has now. It keeps its models and its store.

    The other arguments and errors are as for ``live_release_steps``.
    """
    catalogue = shared.grown(release.catalogue, release.deltas)
    yield
    origin = Origin(release.config, home, release.definitions, catalogue, shared, release)
    newer = yield from _composed(origin, stages)
    return (yield from _warmed(newer, ladders_of))


def _warmed(release: Release, ladders_of: Callable[[Release], Sequence[Ladder]]) -> Steps[LiveRelease]:
    try:
        ladders = ladders_of(release)
        yield from warm_steps(release, release.config, ladders)
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
    catalogue = shared.catalogue(settled(home / config.catalogue), home / config.deltas_folder)
    yield
    if "features" in stages:  # this unit looks up the ids in requests
        catalogue.index_ids()
        yield
    refuse_other_features(catalogue, definitions)
    return (yield from _composed(Origin(config, home, definitions, catalogue, shared), stages))


def _composed(origin: Origin, stages: Sequence[StageName]) -> Steps[Release]:
    """Make all parts of a release over its catalogue."""
    config, home, definitions, catalogue = origin.config, origin.home, origin.definitions, origin.catalogue
    live = LiveFolder(home, config.name, config.features.live)
    live.refuse_lost(definitions)
    view, folders = open_watched_view(config.features, definitions, catalogue, home)
    live.leave_mark()
    yield
    loader = PartsLoader(origin, view)
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
    versions, refused_by = loader.versions()
    items = ItemLayout(catalogue, definitions, refused_by)
    fallbacks: Fallbacks = {}
    memory: MemoryAnswers | None = None
    if config.fallback is not None and "features" in stages:
        fallbacks, memory = yield from loader.fallbacks(config.fallback, source, layout, items)
    view.limit_to(loader.columns())
    watched = folders if "features" in stages else []
    return Release(
        config=config,
        definitions=definitions,
        catalogue=catalogue,
        layout=layout,
        items=items,
        view=view,
        source=source,
        custom=custom,
        models=loader.models,
        model_versions=versions,
        stages=own,
        unranked=unranked,
        fallbacks=fallbacks,
        memory=memory,
        refresher=Refresher(watched, config.features.refresh_s, origin.shared.row_metrics),
        deltas=DeltaFolder.of(catalogue, home / config.deltas_folder),
    )
