"""Warnings and advice that ``rankway check`` gives for a pipeline that can be served."""

import shlex
from pathlib import Path

from autoscale.advice import call_limited, meaningless, sizing_of, unpriced, unreachable, unused
from autoscale.errors import AutoscaleError
from services.autoscaling.spec import needed_profiles, spec_of
from services.config.instances import model_threads
from services.config.pipeline import PipelineConfig
from services.config.placement import placements
from services.deployment.check import Preflight
from services.releases.configured import content_differences
from services.releases.staging import ReleaseFolder
from services.stores import store_fault


def scaling_warnings(pipeline: Preflight) -> list[str]:
    """Return warnings about autoscaling and calls.

    They report a policy that does the same as a simpler one, a pool that is never used or has no price, an objective
    that cannot be reached, a unit whose capacity is limited by its calls in flight, and a unit with instances that its
    profile does not include.
    """
    scaling = pipeline.config.autoscaling
    limited = [*_call_warnings(pipeline), *_instance_warnings(pipeline.config)]
    if scaling is None:
        return limited
    kind = scaling.policy.kind
    why = meaningless(scaling, pipeline.spec).get(kind)
    repeated = [] if why is None else [f"autoscaling.policy.kind: {kind} adds nothing here: {why}"]
    found = [line for advise in (unused, unpriced, unreachable) for line in advise(scaling, pipeline.spec)]
    return [*repeated, *found, *limited]


def idle_policies(pipeline: Preflight) -> dict[str, str]:
    """Return the unused policies that would do no better than a simpler policy in this pipeline, and the reasons."""
    scaling = pipeline.config.autoscaling
    if scaling is None:
        return {}
    excluded = {scaling.policy.kind}
    if not needed_profiles(pipeline.config, pipeline.home):
        excluded.add("predictive")  # depends on start-up times, which are in the profiles
    return {kind: why for kind, why in meaningless(scaling, pipeline.spec).items() if kind not in excluded}


def store_warnings(pipeline: Preflight) -> list[str]:
    """Return warnings about a feature store in another process.

    The pipeline can be served without the store. Answers then use default features.
    """
    store = pipeline.config.features.store
    fault = None if store is None else store_fault(store, pipeline.home)
    return [] if fault is None else [f"features.store: {fault}. Until then, answers use default features"]


def release_warnings(config: PipelineConfig, file: Path, home: Path) -> list[str]:
    """Return a warning if the active release has other data than the pipeline's file names.

    Raises:
        ReleaseError: the active release cannot be read.
    """
    releases = ReleaseFolder(home, config.name, config.trust)
    active = releases.history.active()
    changed = [] if active is None else content_differences(releases.read(active), config, home)
    if not changed:
        return []
    path = shlex.quote(str(file))
    return [
        f"release {active} is active and is served, not the data that {file} names ({'; '.join(changed)}). To serve "
        f"the file's data: rankway release stage {path} && rankway release activate {path}"
    ]


def log_warnings(pipeline: Preflight) -> list[str]:
    """Return a warning about a served log that cannot keep feedback, because no kind of feedback is declared."""
    config = pipeline.config
    if config.log is None or config.feedback.kinds:
        return []
    return ["feedback.kinds: empty, so the log keeps no feedback and cannot train a model; declare the kinds"]


def delta_warnings(pipeline: Preflight) -> list[str]:
    """Return a warning about deltas that belong to another version of the catalogue, such as the one before a build."""
    config, catalogue = pipeline.config, pipeline.catalogue
    folder = pipeline.home / config.deltas_folder
    if catalogue is None or not folder.is_dir():
        return []
    others = [
        path
        for path in sorted(folder.iterdir())
        if path.name != catalogue.identity and any(path.glob("*.npz"))
    ]
    if not others:
        return []
    return [
        f"deltas: those in {', '.join(map(str, others[:3]))} belong to another version of the catalogue, and do not "
        f"apply to {config.catalogue}; make the changes again if they are missing, and remove the folder when no "
        f"release needs it"
    ]


def training_warnings(config: PipelineConfig, home: Path) -> list[str]:
    """Return a warning if the catalogue has deltas, which training does not read."""
    count = len(list((home / config.deltas_folder).glob("*/*.npz")))
    if not count:
        return []
    return [
        f"deltas: training reads the catalogue without its deltas ({count} in {home / config.deltas_folder}); fold "
        f"them into the catalogue first, with `rankway catalogue compact`"
    ]


def _instance_warnings(config: PipelineConfig) -> list[str]:
    """Return a warning for each unit that has several model threads and a profile."""
    return [
        f"units.{unit}.profile: policies, planner and simulator count a replica as one model thread, and a replica of "
        f"{unit} has {threads}, so they ask for too many replicas; use instances: 1 if they size this unit"
        for unit in config.units
        if (threads := model_threads(config, unit)) > 1
        and any(placement.profile is not None for placement in placements(config, unit))
    ]


def _call_warnings(pipeline: Preflight) -> list[str]:
    """Return warnings about units that are limited by their calls to the next unit.

    There are no warnings if a profile is missing.
    """
    try:
        spec = spec_of(pipeline.config, pipeline.home)
    except AutoscaleError:
        return []
    return call_limited(spec, sizing_of(pipeline.config.autoscaling, spec))
