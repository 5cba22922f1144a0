"""The policy for a KubeRay build: rules that the API server does not know. Each rule is a function of all objects."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cli.k8s.policy import cluster, nodes, pods, serve_config, traffic
from cli.k8s.policy.objects import Fault, Finding, Object


class Rule(Protocol):
    """A function of all objects in a build. The function's name is the rule's name."""

    __name__: str

    def __call__(self, objects: Sequence[Object], /) -> Iterator[Fault]:
        """Yield the objects' faults."""
        ...


RULES: tuple[Rule, ...] = (
    cluster.name_is_valid,
    cluster.old_cluster_is_kept_after_switch,
    cluster.head_receives_no_requests,
    cluster.upgrade_settings_are_valid,
    cluster.node_count_is_limited,
    cluster.autoscaler_is_v2,
    cluster.head_state_is_in_redis,
    cluster.redis_is_configured_once,
    cluster.no_alpha_fields,
    cluster.token_comes_from_secret,
    serve_config.serve_config_is_readable,
    serve_config.every_node_has_a_proxy,
    serve_config.endpoint_address_matches_probes,
    nodes.head_runs_no_replicas,
    nodes.serve_port_is_named,
    nodes.resources_are_configured_once,
    nodes.group_bounds_are_valid,
    nodes.pods_are_not_restarted,
    nodes.gpus_are_requested_and_available,
    nodes.pods_are_spread_over_zones,
    nodes.memory_request_equals_limit,
    nodes.pods_have_time_to_drain,
    nodes.fast_data_path_is_enabled,
    pods.ray_version_is_pinned,
    pods.images_are_pinned,
    pods.pods_have_rankway_labels,
    pods.pod_security_is_restricted,
    pods.only_head_has_api_token,
    pods.priority_classes_and_accounts_exist,
    pods.no_secret_values_in_build,
    traffic.budgets_are_whole_numbers,
    traffic.every_group_has_one_budget,
    traffic.selectors_match_pods,
    traffic.unknown_callers_are_blocked,
)


def findings(objects: Sequence[Object]) -> list[Finding]:
    """Return all rules' findings for one build, in rule order."""
    return [Finding(rule.__name__, *fault) for rule in RULES for fault in rule(objects)]
