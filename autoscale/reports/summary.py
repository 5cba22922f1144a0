"""Changes to an autoscaling configuration and their effect, as text."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from autoscale.config import AutoscalingConfig
from autoscale.reports.html import miss_share
from autoscale.simulator.results import Simulation


def patch(config: AutoscalingConfig, comments: tuple[str, ...] = ()) -> str:
    """Return the ``autoscaling:`` section as YAML, without fields that have the default value."""
    head = "".join(f"# {line}\n" for line in comments)
    document = config.model_dump(mode="json", exclude_defaults=True)
    document["policy"] = {"kind": config.policy.kind, **document["policy"]}
    return head + yaml.safe_dump({"autoscaling": document}, sort_keys=False)


def changes(old: AutoscalingConfig | None, new: AutoscalingConfig) -> list[str]:
    """Return a line for each field that differs.

    If the policy's kind differs, the new policy's fields are compared with the defaults of the new kind.
    """
    after = _flat(new.model_dump(mode="json"))
    if old is None:
        return [f"the policy {new.policy.kind} instead of a fixed number of replicas"]
    before = _flat(old.model_dump(mode="json"))
    lines = []
    if old.policy.kind != new.policy.kind:
        lines.append(f"the policy {new.policy.kind} instead of {old.policy.kind}")
        before = {
            name: value for name, value in before.items() if not name.startswith(("policy.", "limits."))
        }
        standard = _flat(
            type(new.policy).model_validate({"kind": new.policy.kind}).model_dump(mode="json"), "policy."
        )
        standard |= _flat(
            AutoscalingConfig.model_fields["limits"].get_default().model_dump(mode="json"), "limits."
        )
        before |= standard
    for name in sorted(before.keys() | after.keys()):
        old_value, new_value = before.get(name), after.get(name)
        if old_value != new_value and name != "policy.kind":
            lines.append(f"{name} {_shown(old_value)} -> {_shown(new_value)}")
    return lines


def gains(old: Simulation, new: Simulation, trace: str) -> str:
    """Return the effect of a change on cost, misses and p99 for one trace, as text."""
    cost = (new.cost - old.cost) / old.cost if old.cost else 0.0
    before, after = miss_share(old), miss_share(new)
    if after < before:
        fewer = before / after if after else 0.0
        ratio = f", {fewer:,.{0 if fewer > 100 else 1}f} times fewer" if fewer else ""
    else:
        ratio = "" if after == before else ", more than before"
    return (
        f"on {trace} the new autoscaling costs {new.cost:,.2f} instead of {old.cost:,.2f} ({cost:+.1%}) and "
        f"misses {after:.3%} of the "
        f"requests instead of {before:.3%}{ratio}; p99 is {new.latency.p99_ms:,.0f} instead of "
        f"{old.latency.p99_ms:,.0f} ms"
    )


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return dict(_leaves(document, prefix))


def _leaves(document: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
