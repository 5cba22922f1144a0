"""``cheapest``: like ``coupled``, but also splits a unit over its pools by their prices and capacities."""

from typing import Literal

from pydantic import Field

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class CheapestConfig(SizedConfig):
    """Options for a pipeline with units that may run in several pools.

    Attributes:
        forecast: the forecast options, or None to size units without a forecast.
        saving: the share of the price that a move to other pools must save. Otherwise replicas stay in their pools.
    """

    kind: Literal["cheapest"]
    forecast: ForecastConfig | None = ForecastConfig()
    saving: float = Field(default=0.1, ge=0, le=1)


def cheapest(config: CheapestConfig, spec: PipelineSpec) -> SizedPolicy:
    """Create the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast, coupled=True, saving=config.saving)


POLICY = PolicyKind(config=CheapestConfig, make=cheapest)
