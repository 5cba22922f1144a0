"""``slo``: each unit is sized by the load that arrives at it now."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class SloConfig(SizedConfig):
    """Options for a pipeline whose load changes slowly compared with a replica's start-up time."""

    kind: Literal["slo"]


def slo(config: SloConfig, spec: PipelineSpec) -> SizedPolicy:
    """Create the policy."""
    return SizedPolicy(config, spec)


POLICY = PolicyKind(config=SloConfig, make=slo)
