"""The built manifests meet the policy. Each rule has a mutant that no other rule catches."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.k8s.policy import RULES, findings
from tests.k8s.built import BASE, K8S, OVERLAYS, Object, built, ray_services

FOLDERS = [BASE, *OVERLAYS]
Mutate = Callable[[list[Object]], None]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_committed_manifests_meet_the_policy(folder: Path) -> None:
    assert [str(finding) for finding in findings(built(folder))] == []


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """A production cell with a gateway, monitoring, a token and Redis, so that every rule has objects to check."""
    tree = tmp_path_factory.mktemp("k8s") / "k8s"
    shutil.copytree(K8S, tree)
    path = tree / "overlays" / "prod-cell-a" / "kustomization.yaml"
    document = yaml.safe_load(path.read_text())
    names = ("gateway", "monitoring", "redis-dev", "token-auth")
    document["components"] = [f"../../components/{name}" for name in names]
    path.write_text(yaml.safe_dump(document))
    return built(path.parent)


def spec(objects: list[Object]) -> Any:
    return ray_services(objects)[0]["spec"]


def cluster(objects: list[Object]) -> Any:
    return spec(objects)["rayClusterConfig"]


def head(objects: list[Object]) -> Any:
    return cluster(objects)["headGroupSpec"]


def group(objects: list[Object], name: str = "cpu") -> Any:
    return next(each for each in cluster(objects)["workerGroupSpecs"] if each["groupName"] == name)


def pod(group: Any) -> Any:
    return group["template"]["spec"]


def container(group: Any) -> Any:
    return pod(group)["containers"][0]


def named(objects: list[Object], kind: str, name: str) -> Any:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def put(find: Callable[[list[Object]], Any], key: Any, value: Any) -> Mutate:
    """Return a mutation that sets a field in the object from ``find``."""

    def mutate(objects: list[Object]) -> None:
        find(objects)[key] = value

    return mutate


def drop(find: Callable[[list[Object]], Any], key: Any) -> Mutate:
    """Return a mutation that removes a field from the object that ``find`` returns."""

    def mutate(objects: list[Object]) -> None:
        del find(objects)[key]

    return mutate


def set_environment(find: Callable[[list[Object]], Any], name: str, value: str | None) -> Mutate:
    """Return a mutation that sets a variable in a group's container. None removes the variable."""

    def mutate(objects: list[Object]) -> None:
        spec = container(find(objects))
        spec["env"] = [each for each in spec["env"] if each["name"] != name]
        if value is not None:
            spec["env"].append({"name": name, "value": value})

    return mutate


def set_serve(**changes: Any) -> Mutate:
    """Return a mutation that sets top-level fields in the Serve config."""

    def mutate(objects: list[Object]) -> None:
        document = yaml.safe_load(spec(objects)["serveConfigV2"])
        spec(objects)["serveConfigV2"] = yaml.safe_dump(document | changes)

    return mutate


def renamed(name: str) -> Mutate:
    """Return a mutation that renames the RayService, and changes the labels that depend on its name."""

    def mutate(objects: list[Object]) -> None:
        ray_services(objects)[0]["metadata"]["name"] = name
        for each in (head(objects), *cluster(objects)["workerGroupSpecs"]):
            each["template"]["metadata"]["labels"]["rankway/pipeline"] = name
            for constraint in each["template"]["spec"].get("topologySpreadConstraints", []):
                constraint["labelSelector"]["matchLabels"]["rankway/pipeline"] = name
        for each in objects:
            if each["kind"] == "PodDisruptionBudget":
                each["spec"]["selector"]["matchLabels"]["rankway/pipeline"] = name

    return mutate


def opened(*callers: Object, port: Any) -> Mutate:
    """Return a mutation that opens a port to callers."""

    def mutate(objects: list[Object]) -> None:
        policy = named(objects, "NetworkPolicy", "rankway-serve")
        rule: Object = {"from": list(callers)} if callers else {}
        policy["spec"]["ingress"].append(rule | ({} if port is None else {"ports": [{"port": port}]}))

    return mutate


def add(each: Object) -> Mutate:
    """Return a mutation that adds an object."""
    return lambda objects: objects.append(each)


def without(kind: str, name: str) -> Mutate:
    """Return a mutation that removes an object."""

    def mutate(objects: list[Object]) -> None:
        objects.remove(named(objects, kind, name))

    return mutate


def upgrade(objects: list[Object]) -> Any:
    return spec(objects)["upgradeStrategy"]["clusterUpgradeOptions"]


def budget(objects: list[Object]) -> Any:
    return named(objects, "PodDisruptionBudget", "cluster-cpu")["spec"]


def redis_pod(objects: list[Object]) -> Any:
    return named(objects, "StatefulSet", "redis")["spec"]["template"]["spec"]


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "redis"},
    "stringData": {"password": "x"},
}
SECOND_BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "all", "namespace": "rankway-cell-a"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"rankway/role": "head"}}},
}
ANYBODY: Object = {"namespaceSelector": {}}
DRAIN = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
EARLY = {"preStop": {"exec": {"command": ["sleep", "10"]}}}

MUTANTS: list[tuple[str, str, Mutate]] = [
    ("name_is_valid", "48 characters", renamed("c" * 48)),
    ("name_is_valid", "a digit first", renamed("7cells")),
    ("old_cluster_is_kept_after_switch", "1 minute", put(spec, "rayClusterDeletionDelaySeconds", 60)),
    ("old_cluster_is_kept_after_switch", "missing", drop(spec, "rayClusterDeletionDelaySeconds")),
    ("head_receives_no_requests", "missing", drop(spec, "excludeHeadPodFromServeSvc")),
    ("upgrade_settings_are_valid", "no class", drop(upgrade, "gatewayClassName")),
    ("upgrade_settings_are_valid", "steps above the surge", put(upgrade, "stepSizePercent", 50)),
    ("upgrade_settings_are_valid", "no interval", put(upgrade, "intervalSeconds", 0)),
    (
        "upgrade_settings_are_valid",
        "its own Service",
        put(spec, "serveService", {"metadata": {"name": "own"}}),
    ),
    ("node_count_is_limited", "5000 nodes", put(group, "maxReplicas", 5000)),
    ("autoscaler_is_v2", "v1", put(lambda o: cluster(o)["autoscalerOptions"], "version", "v1")),
    ("autoscaler_is_v2", "none", put(cluster, "enableInTreeAutoscaling", False)),
    ("autoscaler_is_v2", "set twice", set_environment(head, "RAY_enable_autoscaler_v2", "1")),
    ("head_state_is_in_redis", "in memory", drop(cluster, "gcsFaultToleranceOptions")),
    (
        "head_state_is_in_redis",
        "password in clear text",
        put(lambda o: cluster(o)["gcsFaultToleranceOptions"], "redisPassword", {"value": "x"}),
    ),
    ("redis_is_configured_once", "environment", set_environment(head, "RAY_REDIS_ADDRESS", "redis-gcs:6379")),
    (
        "redis_is_configured_once",
        "parameter",
        put(lambda o: head(o)["rayStartParams"], "redis-username", "u"),
    ),
    (
        "redis_is_configured_once",
        "annotation",
        put(lambda o: ray_services(o)[0]["metadata"], "annotations", {"ray.io/ft-enabled": "true"}),
    ),
    (
        "no_alpha_fields",
        "network policies of the operator",
        put(cluster, "networkPolicy", {"mode": "DenyAll"}),
    ),
    ("token_comes_from_secret", "the operator's own token", put(cluster, "authOptions", {"mode": "token"})),
    ("serve_config_is_readable", "no YAML", put(spec, "serveConfigV2", "applications: [")),
    ("serve_config_is_readable", "a list", put(spec, "serveConfigV2", "- 1")),
    ("serve_config_is_readable", "no text", put(spec, "serveConfigV2", {"applications": []})),
    ("serve_config_is_readable", "missing", drop(spec, "serveConfigV2")),
    ("serve_config_is_readable", "endless nesting", put(spec, "serveConfigV2", "[" * 50_000)),
    ("serve_config_is_readable", "invalid options", set_serve(http_options=["0.0.0.0"])),
    ("every_node_has_a_proxy", "only on the head", set_serve(proxy_location="HeadOnly")),
    (
        "endpoint_address_matches_probes",
        "loopback",
        set_serve(http_options={"host": "127.0.0.1", "port": 8000}),
    ),
    ("head_runs_no_replicas", "4 CPUs", put(lambda o: head(o)["rayStartParams"], "num-cpus", "4")),
    ("head_runs_no_replicas", "missing", drop(lambda o: head(o)["rayStartParams"], "num-cpus")),
    ("serve_port_is_named", "another name", put(lambda o: container(head(o))["ports"][0], "name", "http")),
    ("resources_are_configured_once", "CPUs", put(lambda o: group(o)["rayStartParams"], "num-cpus", "8")),
    ("resources_are_configured_once", "labels", put(lambda o: group(o)["rayStartParams"], "labels", "a=b")),
    ("group_bounds_are_valid", "more than the maximum", put(group, "replicas", 100_000)),
    ("group_bounds_are_valid", "no idle time-out", drop(group, "idleTimeoutSeconds")),
    (
        "group_bounds_are_valid",
        "two groups of the same name",
        lambda o: cluster(o)["workerGroupSpecs"].append(copy.deepcopy(group(o, "gpu-large"))),
    ),
    ("pods_are_not_restarted", "always", put(lambda o: pod(group(o)), "restartPolicy", "Always")),
    (
        "gpus_are_requested_and_available",
        "fewer than counted",
        put(lambda o: group(o, "gpu-small")["resources"], "GPU", "2"),
    ),
    (
        "gpus_are_requested_and_available",
        "no toleration",
        drop(lambda o: pod(group(o, "gpu-small")), "tolerations"),
    ),
    (
        "gpus_are_requested_and_available",
        "another GPU type",
        put(lambda o: pod(group(o, "gpu-small"))["nodeSelector"], "rankway/accelerator", "H100"),
    ),
    (
        "pods_are_spread_over_zones",
        "no constraint",
        drop(lambda o: pod(group(o)), "topologySpreadConstraints"),
    ),
    (
        "pods_are_spread_over_zones",
        "pods of another pool",
        put(
            lambda o: pod(group(o))["topologySpreadConstraints"][0],
            "labelSelector",
            {"matchLabels": {"rankway/pool": "gpu-small"}},
        ),
    ),
    (
        "memory_request_equals_limit",
        "no limit",
        drop(lambda o: container(group(o))["resources"]["limits"], "memory"),
    ),
    ("pods_have_time_to_drain", "too early", put(lambda o: container(group(o)), "lifecycle", EARLY)),
    ("pods_have_time_to_drain", "no hook", drop(lambda o: container(group(o)), "lifecycle")),
    ("pods_have_time_to_drain", "killed", put(lambda o: pod(group(o)), "terminationGracePeriodSeconds", 30)),
    ("pods_have_time_to_drain", "cut off", put(lambda o: pod(group(o)), "terminationGracePeriodSeconds", 60)),
    ("pods_have_time_to_drain", "a longer drain", set_environment(group, DRAIN, "120")),
    ("fast_data_path_is_enabled", "off", set_environment(group, "RAY_SERVE_ENABLE_HA_PROXY", None)),
    (
        "ray_version_is_pinned",
        "another tag",
        put(lambda o: container(group(o)), "image", "registry.example.com:5000/rankway:2.59.0"),
    ),
    ("ray_version_is_pinned", "another Ray", put(cluster, "rayVersion", "2.59.0")),
    (
        "images_are_pinned",
        "tag latest",
        put(lambda o: redis_pod(o)["containers"][0], "image", "redis:latest"),
    ),
    (
        "images_are_pinned",
        "no tag",
        put(lambda o: redis_pod(o)["containers"][0], "image", "example.com:5000/redis"),
    ),
    (
        "pods_have_rankway_labels",
        "another pool's",
        put(group, "groupName", "cpus"),
    ),
    ("pod_security_is_restricted", "root", put(lambda o: pod(group(o))["securityContext"], "runAsUser", 0)),
    (
        "pod_security_is_restricted",
        "capabilities",
        drop(lambda o: container(head(o))["securityContext"], "capabilities"),
    ),
    ("pod_security_is_restricted", "Redis too", drop(redis_pod, "securityContext")),
    (
        "only_head_has_api_token",
        "on a worker",
        drop(lambda o: pod(group(o)), "automountServiceAccountToken"),
    ),
    ("priority_classes_and_accounts_exist", "no class", without("PriorityClass", "rankway-worker")),
    ("priority_classes_and_accounts_exist", "no account", without("ServiceAccount", "rankway-head")),
    ("no_secret_values_in_build", "a Secret", add(SECRET)),
    ("no_secret_values_in_build", "a variable", set_environment(group, "RANKWAY_STORE_PASSWORD", "hunter2")),
    ("budgets_are_whole_numbers", "a percentage", put(budget, "minAvailable", "50%")),
    ("budgets_are_whole_numbers", "none", put(budget, "minAvailable", 0)),
    ("every_group_has_one_budget", "none", without("PodDisruptionBudget", "cluster-gpu-small")),
    ("every_group_has_one_budget", "two", add(SECOND_BUDGET)),
    (
        "selectors_match_pods",
        "a policy",
        put(
            lambda o: named(o, "NetworkPolicy", "rankway-autoscaler-metrics")["spec"]["podSelector"][
                "matchLabels"
            ],
            "rankway/role",
            "heads",
        ),
    ),
    (
        "selectors_match_pods",
        "a monitor",
        put(lambda o: named(o, "PodMonitor", "rankway")["spec"]["selector"], "matchLabels", {"app": "ray"}),
    ),
    (
        "selectors_match_pods",
        "a Service",
        put(lambda o: named(o, "Service", "redis")["spec"], "selector", {"app": "redis"}),
    ),
    ("unknown_callers_are_blocked", "HAProxy's statistics", opened(ANYBODY, port=8404)),
    ("unknown_callers_are_blocked", "HAProxy's metrics", opened({"podSelector": {}}, port=9101)),
    ("unknown_callers_are_blocked", "the dashboard", opened({"podSelector": {}}, port="dashboard")),
    ("unknown_callers_are_blocked", "the head's store", opened(ANYBODY, port="gcs-server")),
    ("unknown_callers_are_blocked", "every port", opened(ANYBODY, port=None)),
    ("unknown_callers_are_blocked", "no caller named", opened(port=8000)),
    ("unknown_callers_are_blocked", "no policy", without("NetworkPolicy", "rankway-to-redis")),
]


@pytest.mark.parametrize("rule, how, mutate", MUTANTS, ids=[f"{rule}: {how}" for rule, how, _ in MUTANTS])
def test_only_its_own_rule_catches_a_mutant(cell: list[Object], rule: str, how: str, mutate: Mutate) -> None:
    objects = copy.deepcopy(cell)
    mutate(objects)
    violations = findings(objects)
    assert {finding.rule for finding in violations} == {rule}
    for finding in violations:
        assert finding.where and finding.problem and finding.remedy
        assert str(finding).startswith(finding.where)
        assert len(str(finding).splitlines()) == 1


def test_unchanged_build_meets_the_policy(cell: list[Object]) -> None:
    assert findings(cell) == []


def test_every_rule_has_a_mutant() -> None:
    assert {rule for rule, _, _ in MUTANTS} == {rule.__name__ for rule in RULES}
