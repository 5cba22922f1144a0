"""The operator's values against what the overlays need of it; its chart is not here to be rendered."""

from typing import Any

import yaml

from tests.k8s.built import K8S, OVERLAYS, built, ray_services

VALUES: dict[str, Any] = yaml.safe_load((K8S / "operator" / "values.yaml").read_text())
# What the chart kuberay-operator 1.7.0 takes; Helm says nothing of a value that it does not know.
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


def test_the_operator_is_the_one_that_the_facts_are_of() -> None:
    assert VALUES["image"] == {"tag": "v1.7.0"}


def test_it_watches_the_namespaces_of_every_ray_service() -> None:
    namespaces = {s["metadata"]["namespace"] for folder in OVERLAYS for s in ray_services(built(folder))}
    assert set(VALUES["watchNamespace"]) == namespaces


def test_upgrades_in_steps_are_on_and_alpha_is_off() -> None:
    assert GATES["RayServiceIncrementalUpgrade"] is True
    alpha = {"RayClusterNetworkPolicy", "RayClusterMTLS", "RayClusterHistoryServer"}
    assert {name: GATES[name] for name in alpha} == dict.fromkeys(alpha, False)


def test_requests_stay_within_limits_those_of_the_chart_included() -> None:
    limits = CHART_LIMITS | VALUES["resources"]["limits"]
    assert milli(VALUES["resources"]["requests"]["cpu"]) <= milli(limits["cpu"])
    assert VALUES["resources"]["requests"]["memory"] == limits["memory"]


def test_environment_is_text() -> None:
    assert all(isinstance(each["value"], str) for each in VALUES["env"])


def test_two_operators_take_turns() -> None:
    assert VALUES["replicas"] == 1 or VALUES["leaderElectionEnabled"] is True
