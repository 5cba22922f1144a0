"""Rules for a RayService and its cluster as a whole.

They find mistakes that KubeRay refuses only late, or accepts and then serves badly.
"""

import re
from collections.abc import Iterator, Sequence

from cli.k8s.policy.objects import (
    Fault,
    Object,
    clusters,
    environment,
    heads,
    title,
)

_LONGEST_NAME = 47
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SHORTEST_DELAY_S = 300
_MOST_NODES = 1000
_ALPHA = ("networkPolicy", "tlsOptions", "historyServerOptions")
_REDIS_ENVIRONMENT = ("RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_USERNAME")
_REDIS_PARAMETERS = ("redis-password", "redis-username")
_REDIS_ANNOTATIONS = ("ray.io/ft-enabled", "ray.io/external-storage-namespace")


def name_is_valid(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a short RayService name, because KubeRay derives longer names from it."""
    for service, _ in clusters(objects):
        name = service["metadata"]["name"]
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            problem = f"invalid name, got {name!r} with {len(name)} characters"
            remedy = f"use at most {_LONGEST_NAME} lower case letters, digits and -, with a letter first"
            yield Fault(f"{title(service)} metadata.name", problem, remedy)


def old_cluster_is_kept_after_switch(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that the old cluster is kept after a switch, because requests still use it and a rollback needs it."""
    for service, _ in clusters(objects):
        delay_s = service["spec"].get("rayClusterDeletionDelaySeconds", 60)
        if delay_s < _SHORTEST_DELAY_S:
            where = f"{title(service)} spec.rayClusterDeletionDelaySeconds"
            yield Fault(
                where,
                f"too short for the requests that still go to the old cluster, got {delay_s}",
                f"set it to {_SHORTEST_DELAY_S} or more",
            )


def head_receives_no_requests(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that the endpoint does not route to the head, because requests at the head are lost if it fails."""
    for service, _ in clusters(objects):
        if service["spec"].get("excludeHeadPodFromServeSvc") is not True:
            yield Fault(
                f"{title(service)} spec.excludeHeadPodFromServeSvc",
                "the endpoint also routes requests to the head pod",
                "set it to true",
            )


def upgrade_settings_are_valid(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require the settings of an incremental upgrade. KubeRay checks them only when an upgrade is due."""
    for service, _ in clusters(objects):
        strategy = service["spec"].get("upgradeStrategy") or {}
        if strategy.get("type") != "NewClusterWithIncrementalUpgrade":
            continue
        options = strategy.get("clusterUpgradeOptions") or {}
        step, surge = options.get("stepSizePercent", 0), options.get("maxSurgePercent", 100)
        faults = {
            "gatewayClassName": not options.get("gatewayClassName") and "name a GatewayClass",
            "stepSizePercent": not 0 < step <= surge <= 100
            and f"choose 0 < stepSizePercent <= maxSurgePercent ({surge}) <= 100",
            "intervalSeconds": options.get("intervalSeconds", 0) <= 0
            and "give the seconds between two steps, above 0",
        }
        if "serveService" in service["spec"]:
            where = f"{title(service)} spec.serveService"
            yield Fault(where, "KubeRay ignores this field if there is a gateway", "remove it")
        for field, remedy in faults.items():
            if remedy:
                where = f"{title(service)} spec.upgradeStrategy.clusterUpgradeOptions.{field}"
                yield Fault(where, f"an upgrade could not finish, got {options.get(field)!r}", remedy)


def node_count_is_limited(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse more than 1,000 nodes: Ray's autoscaler falls behind at about that size (ray#57624)."""
    for service, cluster in clusters(objects):
        most = sum(group.get("maxReplicas") or 0 for group in cluster.get("workerGroupSpecs") or [])
        if most > _MOST_NODES:
            yield Fault(
                f"{title(service)} workerGroupSpecs maxReplicas",
                f"too many nodes for one head, got {most}",
                f"allow at most {_MOST_NODES} and split the load over several cells",
            )


def autoscaler_is_v2(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require autoscaler v2.

    Only v2 knows node labels. It also requests its new pods from the group that a waiting replica needs.
    """
    for service, cluster in clusters(objects):
        version = (cluster.get("autoscalerOptions") or {}).get("version")
        if cluster.get("enableInTreeAutoscaling") is not True or version != "v2":
            yield Fault(
                f"{title(service)} rayClusterConfig.autoscalerOptions.version",
                f"autoscaler v2 is off, got enableInTreeAutoscaling {cluster.get('enableInTreeAutoscaling')} "
                f"and version {version}",
                "set enableInTreeAutoscaling to true and version to v2",
            )
    for head in heads(objects):
        if "RAY_enable_autoscaler_v2" in environment(head.container):
            yield Fault(
                f"{head.where} env RAY_enable_autoscaler_v2",
                "KubeRay refuses this variable together with autoscalerOptions.version",
                "remove it",
            )


def head_state_is_in_redis(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that the head keeps its state in Redis.

    Otherwise a restarted head begins a new cluster, and all replicas are lost.
    """
    for service, cluster in clusters(objects):
        where = f"{title(service)} rayClusterConfig.gcsFaultToleranceOptions"
        options = cluster.get("gcsFaultToleranceOptions") or {}
        if not options.get("redisAddress"):
            yield Fault(where, "the head keeps its state in memory only", "give redisAddress")
            continue
        reference = ((options.get("redisPassword") or {}).get("valueFrom") or {}).get("secretKeyRef") or {}
        if not (reference.get("name") and reference.get("key")):
            yield Fault(
                f"{where}.redisPassword",
                "the password does not come from a secret",
                "give valueFrom.secretKeyRef with name and key",
            )


def redis_is_configured_once(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse Redis settings outside gcsFaultToleranceOptions, because KubeRay does not accept both."""
    for head in heads(objects):
        settings = [f"env {name}" for name in _REDIS_ENVIRONMENT if name in environment(head.container)]
        settings += [f"rayStartParams {name}" for name in _REDIS_PARAMETERS if name in head.ray_parameters]
        annotations = head.service["metadata"].get("annotations") or {}
        settings += [f"annotation {name}" for name in _REDIS_ANNOTATIONS if name in annotations]
        for setting in settings:
            yield Fault(
                f"{head.where} {setting}",
                "KubeRay refuses this setting together with gcsFaultToleranceOptions",
                "remove it",
            )


def no_alpha_fields(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse alpha fields. Their feature gates are off in the operator, which then refuses the whole object."""
    for service, cluster in clusters(objects):
        for field in _ALPHA:
            if field in cluster:
                where = f"{title(service)} rayClusterConfig.{field}"
                yield Fault(where, "alpha in KubeRay v1.7 and switched off by its feature gate", "remove it")


def token_comes_from_secret(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that Ray's authentication token comes from a secret.

    If the operator makes the token, every new cluster gets a different token. RayServices cannot use Kubernetes' own
    tokens.
    """
    for service, cluster in clusters(objects):
        options = cluster.get("authOptions")
        if options is None:
            continue
        if options.get("mode") != "token" or not options.get("secretName") or "enableK8sTokenAuth" in options:
            yield Fault(
                f"{title(service)} rayClusterConfig.authOptions",
                f"the token does not come from a secret, got {options}",
                "give only mode: token and secretName, the name of a secret with the key auth_token",
            )
