"""The inputs for this group's commands: pipelines, patches for ``autoscaling:``, and traces."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from autoscale.config import AutoscalingConfig
from autoscale.errors import TraceError
from autoscale.registries.trust import trusting
from autoscale.spec import PipelineSpec
from autoscale.traces.files import open_trace
from autoscale.traces.trace import Trace, coarse
from services.autoscaling.spec import lowered, profiles_of
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError
from services.paths import home_directory


def read_pipeline(path: Path) -> tuple[PipelineConfig, PipelineSpec]:
    """Read a pipeline and its simulation spec. The spec does not include its ``autoscaling:``.

    Raises:
        ServiceError, AutoscaleError: the pipeline cannot be used.
    """
    config = load_config(path)
    return config, specified(config)


def specified(config: PipelineConfig) -> PipelineSpec:
    """Return a pipeline's simulation spec, without its ``autoscaling:``.

    Raises:
        AutoscaleError: a profile is missing, or a replica does not fit a node.
    """
    bare = config.model_copy(update={"autoscaling": None})
    return lowered(bare, profiles_of(config, home_directory()))


def read_autoscaling(path: Path, trust: Sequence[str] = ()) -> AutoscalingConfig | None:
    """Read ``autoscaling:`` from a whole pipeline, or from a patch, which is a file with no other part.

    Args:
        path: the patch or the pipeline.
        trust: the packages whose policies a patch may name. They are listed under ``trust`` in the pipeline that the
            patch is for.

    Raises:
        ConfigError: the file is neither a patch nor a pipeline.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}; correct the path, or the YAML in the file"
        ) from error
    if not (isinstance(document, dict) and set(document) == {"autoscaling"}):
        return load_config(path).autoscaling
    try:
        with trusting(trust):
            return AutoscalingConfig.model_validate(document["autoscaling"])
    except ValidationError as error:
        faults = (
            f"autoscaling.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults)) from error


def read_trace(path: Path, requests_per_day: float | None) -> Trace:
    """Open a trace, and scale it if mean requests per day are given.

    Raises:
        TraceError: the trace cannot be used.
    """
    trace = open_trace(path)
    if requests_per_day is None:
        return trace
    counts = coarse(trace)
    days = len(counts) * counts.step_s / 86_400
    if not requests_per_day > 0:
        raise TraceError(f"--requests-per-day: must be above 0, got {requests_per_day:g}")
    return trace.scaled(requests_per_day * days / float(counts.requests.sum()))
