"""The operator's values fit the overlays. The chart is not available here, so it is not rendered."""

from typing import Any

import yaml

from tests.k8s.built import K8S, OVERLAYS, built, ray_services

VALUES: dict[str, Any] = yaml.safe_load((K8S / "operator" / "values.yaml").read_text())
# The values that the chart kuberay-operator 1.7.0 has. Helm ignores unknown values silently.
KNOWN = {
    "affinity", "annotations", "batchScheduler", "componentOverride", "configuration", "crNamespacedRbacEnable", "env",
    "featureGates", "fullnameOverride", "image", "imagePullSecrets", "kubeClient", "labels", "leaderElectionEnabled",
    "livenessProbe", "logging", "metrics", "nameOverride", "nodeSelector", "operatorCommand", "podSecurityContext",
    "priorityClassName", "rbacEnable", "readinessProbe", "reconcileConcurrency", "replicas", "resources",
    "securityContext", "service", "serviceAccount", "singleNamespaceInstall", "tolerations", "useKubernetesProxy",
    "watchNamespace",
}  # fmt: skip
CHART_LIMITS = {"cpu": "100m", "memory": "512Mi"}
GATES = {each["name"]: each["enabled"] for each in VALUES["featureGates"]}


def milli(quantity: str) -> float:
    return float(quantity[:-1]) if quantity.endswith("m") else 1000 * float(quantity)


def test_the_chart_knows_every_value() -> None:
    assert set(VALUES) <= KNOWN


def test_operator_has_the_version_that_was_examined() -> None:
    assert VALUES["image"] == {"tag": "v1.7.0"}


def test_operator_watches_the_namespaces_of_all_ray_services() -> None:
    namespaces = {s["metadata"]["namespace"] for folder in OVERLAYS for s in ray_services(built(folder))}
    assert set(VALUES["watchNamespace"]) == namespaces


def test_incremental_upgrades_are_on_and_alpha_features_are_off() -> None:
    assert GATES["RayServiceIncrementalUpgrade"] is True
    alpha = {"RayClusterNetworkPolicy", "RayClusterMTLS", "RayClusterHistoryServer"}
    assert {name: GATES[name] for name in alpha} == dict.fromkeys(alpha, False)


def test_requests_stay_within_limits_including_defaults_of_the_chart() -> None:
    limits = CHART_LIMITS | VALUES["resources"]["limits"]
    assert milli(VALUES["resources"]["requests"]["cpu"]) <= milli(limits["cpu"])
    assert VALUES["resources"]["requests"]["memory"] == limits["memory"]


def test_values_of_the_environment_are_text() -> None:
    assert all(isinstance(each["value"], str) for each in VALUES["env"])


def test_several_operators_elect_a_leader() -> None:
    assert VALUES["replicas"] == 1 or VALUES["leaderElectionEnabled"] is True
