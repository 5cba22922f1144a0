"""Serve's autoscaling options. Serve applies Rankway's target without delay or smoothing, only within bounds."""

import warnings
from typing import Any

from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from autoscale.spec import Key, PipelineSpec
from services.autoscaling.spec import METRICS_INTERVAL_S
from services.config.pipeline import PipelineConfig

_WINDOW_S = 30.0


def serve_options(
    config: PipelineConfig, spec: PipelineSpec, key: Key, policy: dict[str, Any] | None
) -> AutoscalingConfig:
    """Return Serve's autoscaling options for a deployment. Delays and smoothing are switched off.

    Args:
        config: the pipeline.
        spec: the pipeline as policies see it.
        key: the unit and the pool.
        policy: a deployment-level policy, as an import string and arguments. None if Serve has a policy for the whole
            application.

    Returns:
        The options. The look-back window is the policy's own window if it has one, such as the window over which
        ``target_ongoing`` averages. Otherwise it is long enough for the metrics of two decisions.
    """
    placed = spec.placed(key)
    assert config.autoscaling is not None
    needed_s = 2 * (spec.decision_interval_s + METRICS_INTERVAL_S)
    window_s = getattr(config.autoscaling.policy, "look_back_period_s", max(_WINDOW_S, needed_s))
    with warnings.catch_warnings():
        # Serve 2.60 warns that an environment variable will replace the interval, but nothing reads that
        # variable yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        return AutoscalingConfig(
            min_replicas=placed.min_replicas,
            initial_replicas=placed.initial_replicas,
            max_replicas=placed.max_replicas,
            metrics_interval_s=min(METRICS_INTERVAL_S, window_s / 2),
            look_back_period_s=window_s,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            downscale_to_zero_delay_s=0.0,
            upscaling_factor=1.0,
            downscaling_factor=1.0,
            policy=AutoscalingPolicy(**(policy or {})),  # type: ignore[no-untyped-call]
        )
