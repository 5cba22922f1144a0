"""``slo``: each unit by what arrives at it now."""

from typing import Literal

from autoscale.policies.sized import Sized, SizedConfig
from autoscale.spec import PipelineSpec


class SloConfig(SizedConfig):
    """Of a pipeline whose load moves slowly against the start-up of a replica."""

    kind: Literal["slo"]


def slo(config: SloConfig, spec: PipelineSpec) -> Sized:
    """Make the policy."""
    return Sized(config, spec)
