"""``predictive``: ``slo`` on a forecast as far ahead as a node and a replica take to come."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class PredictiveConfig(SizedConfig):
    """Of a pipeline whose load has hours and weeks, or moves while a replica starts."""

    kind: Literal["predictive"]
    forecast: ForecastConfig = ForecastConfig()


def predictive(config: PredictiveConfig, spec: PipelineSpec) -> SizedPolicy:
    """Make the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast)


POLICY = PolicyKind(config=PredictiveConfig, make=predictive)
