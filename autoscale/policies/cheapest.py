"""``cheapest``: like ``coupled``, and units that may run in several pools are split over them by price and capacity."""

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
        forecast: None: no load forecast.
        saving: replicas move to other pools only if that saves this share of the price.
    """

    kind: Literal["cheapest"]
    forecast: ForecastConfig | None = ForecastConfig()
    saving: float = Field(default=0.1, ge=0, le=1)


def cheapest(config: CheapestConfig, spec: PipelineSpec) -> SizedPolicy:
    """Create the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast, coupled=True, saving=config.saving)


POLICY = PolicyKind(config=CheapestConfig, make=cheapest)
