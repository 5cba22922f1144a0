"""``predictive``: like ``slo``, but for the load that is forecast until a new node and a new replica have started."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class PredictiveConfig(SizedConfig):
    """Options for a pipeline whose load follows days and weeks, or changes within a replica's start-up time."""

    kind: Literal["predictive"]
    forecast: ForecastConfig = ForecastConfig()


def predictive(config: PredictiveConfig, spec: PipelineSpec) -> SizedPolicy:
    """Create the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast)


POLICY = PolicyKind(config=PredictiveConfig, make=predictive)
