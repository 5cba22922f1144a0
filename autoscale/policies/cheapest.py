"""``cheapest``: ``coupled``, and units that may run in several pools are split over them by price and capacity."""

from typing import Literal

from pydantic import Field

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class CheapestConfig(SizedConfig):
    """Of a pipeline with pools to choose from. saving: replicas move to other pools for so much of the price."""

    kind: Literal["cheapest"]
    forecast: ForecastConfig | None = ForecastConfig()
    saving: float = Field(default=0.1, ge=0, le=1)


def cheapest(config: CheapestConfig, spec: PipelineSpec) -> SizedPolicy:
    """Make the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast, coupled=True, saving=config.saving)


POLICY = PolicyKind(config=CheapestConfig, make=cheapest)
