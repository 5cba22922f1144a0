"""``slo``: each unit by what arrives at it now."""

from typing import Literal

from autoscale.policies.base import PolicyKind
from autoscale.policies.sized import SizedPolicy
from autoscale.policies.sized_config import SizedConfig
from autoscale.spec import PipelineSpec


class SloConfig(SizedConfig):
    """Of a pipeline whose load moves slowly against the start-up of a replica."""

    kind: Literal["slo"]


def slo(config: SloConfig, spec: PipelineSpec) -> SizedPolicy:
    """Make the policy."""
    return SizedPolicy(config, spec)


POLICY = PolicyKind(config=SloConfig, make=slo)
