"""The registry of policy kinds. A new kind needs a module in this folder and a line here."""

from typing import Annotated

from autoscale.policies.base import AnyPolicyKind, PolicyKind, PolicyOptions
from autoscale.registries.options import ByKind
from autoscale.registries.registry import Registry

POLICIES: Registry[AnyPolicyKind] = Registry(
    "policy",
    {
        "target_ongoing": "autoscale.policies.target_ongoing:POLICY",
        "slo": "autoscale.policies.slo:POLICY",
        "predictive": "autoscale.policies.predictive:POLICY",
        "coupled": "autoscale.policies.coupled:POLICY",
        "cheapest": "autoscale.policies.cheapest:POLICY",
    },
    entry=PolicyKind,
    options=PolicyOptions,
    group="rankway.policies",
)
PolicyConfig = Annotated[PolicyOptions, ByKind(POLICIES)]
