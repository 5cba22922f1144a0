"""``coupled``: units scale together, by what arrives at the ingress, before it reaches those behind."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class CoupledConfig(SizedConfig):
    """Of a pipeline of several units. With ``forecast`` also ahead of the ingress's arrivals."""

    kind: Literal["coupled"]
    forecast: ForecastConfig | None = ForecastConfig()


def coupled(config: CoupledConfig, spec: PipelineSpec) -> SizedPolicy:
    """Make the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast, coupled=True)


POLICY = PolicyKind(config=CoupledConfig, make=coupled)
