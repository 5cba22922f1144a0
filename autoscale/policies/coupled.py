"""``coupled``: all units scale by the load at the ingress, before it reaches the units behind the ingress."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.signals.forecast import ForecastConfig
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class CoupledConfig(SizedConfig):
    """Options for a pipeline with several units.

    Attributes:
        forecast: the forecast options, or None to size units without a forecast.
    """

    kind: Literal["coupled"]
    forecast: ForecastConfig | None = ForecastConfig()


def coupled(config: CoupledConfig, spec: PipelineSpec) -> SizedPolicy:
    """Create the policy."""
    return SizedPolicy(config, spec, forecasts=config.forecast, coupled=True)


POLICY = PolicyKind(config=CoupledConfig, make=coupled)
