"""The policy for a KubeRay build: rules that the API server does not know. Each is a function of all objects."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cli.k8s.policy import cluster, nodes, pods, traffic
from cli.k8s.policy.objects import Fault, Finding, Object


class Rule(Protocol):
    """A function of all objects in a build. The function's name is the rule's name."""

    __name__: str

    def __call__(self, objects: Sequence[Object], /) -> Iterator[Fault]:
        """Yield the objects' faults."""
        ...


RULES: tuple[Rule, ...] = (
    cluster.name_fits,
    cluster.old_cluster_stays_a_while,
    cluster.head_is_out_of_the_service,
    cluster.upgrade_can_go_on,
    cluster.cluster_is_no_larger_than_one_head_manages,
    cluster.autoscaler_is_v2,
    cluster.head_s_state_survives,
    cluster.redis_is_told_once,
    cluster.no_alpha,
    cluster.token_is_a_secret_s,
    cluster.serve_config_is_valid_yaml,
    cluster.every_node_has_a_proxy,
    cluster.endpoint_is_probed,
    nodes.head_takes_no_replica,
    nodes.serve_port_is_named,
    nodes.resources_are_told_once,
    nodes.groups_are_bounded,
    nodes.pods_are_not_restarted,
    nodes.gpus_are_asked_for_and_got,
    nodes.pods_are_spread,
    nodes.memory_is_bounded,
    nodes.pods_leave_in_time,
    nodes.data_path_is_the_fast_one,
    pods.image_is_of_the_pinned_ray,
    pods.images_are_pinned,
    pods.pods_have_labels_of_their_own,
    pods.pods_are_not_root,
    pods.tokens_are_where_they_are_needed,
    pods.classes_and_accounts_are_there,
    pods.no_secret_is_written_down,
    traffic.budgets_are_whole_numbers,
    traffic.every_group_has_one_budget,
    traffic.selectors_hit_pods,
    traffic.strangers_are_kept_out,
)


def findings(objects: Sequence[Object]) -> list[Finding]:
    """Return all rules' findings for one build, in rule order."""
    return [Finding(rule.__name__, *fault) for rule in RULES for fault in rule(objects)]
