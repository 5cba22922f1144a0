"""Each component is added to an overlay by one line. The result is valid for its API, and passes the lint policy."""

import functools
import json
import shutil
from collections.abc import Callable, Sequence

import pytest
import yaml

from cli.k8s.policy import findings
from tests.k8s.built import K8S, Object, built, ray_services
from tests.k8s.schemas import faults
from tests.k8s.test_build import as_pod, is_core, pod_templates, validate_core

COMPONENTS = sorted(path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml"))
TOGETHER = {
    "gateway and all others": [name for name in COMPONENTS if name != "blue-green"],
    "blue-green and all others": [name for name in COMPONENTS if name != "gateway"],
}
CASES = {name: [name] for name in COMPONENTS} | TOGETHER
Overlay = Callable[[str, Sequence[str]], list[Object]]


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Overlay:
    """Return a function that builds an overlay with other components than its own."""

    def with_components(name: str, components: Sequence[str]) -> list[Object]:
        tree = tmp_path_factory.mktemp("k8s") / "k8s"
        shutil.copytree(K8S, tree)
        path = tree / "overlays" / name / "kustomization.yaml"
        document = yaml.safe_load(path.read_text())
        document["components"] = [f"../../components/{component}" for component in components]
        path.write_text(yaml.safe_dump(document))
        return built(path.parent)

    return with_components


@functools.cache
def validate_once(text: str) -> None:
    """Validate an object. The cache helps, because most objects are equal for all components and validation is slow."""
    validate_core(json.loads(text))


def test_all_components_exist() -> None:
    assert COMPONENTS == ["blue-green", "gateway", "monitoring", "redis-dev", "token-auth"]


@pytest.mark.parametrize("name", ["dev", "prod-cell-a"])
@pytest.mark.parametrize("case", CASES)
def test_overlay_with_components_is_valid_for_kubernetes_and_kuberay(
    overlay: Overlay, name: str, case: str
) -> None:
    objects = overlay(name, CASES[case])
    namespaces = {each["metadata"].get("namespace") for each in objects if each["kind"] == "Namespace"}
    assert namespaces == {None}
    (home,) = {each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"}
    of_all = {"Namespace", "PriorityClass"}
    assert {o["metadata"].get("namespace") for o in objects if o["kind"] not in of_all} == {home}
    for each in (*filter(is_core, objects), *map(as_pod, pod_templates(objects))):
        validate_once(json.dumps(each, sort_keys=True))
    assert [str(finding) for finding in findings(objects)] == []
    for service in ray_services(objects):
        assert faults(service) == []


def service_with(overlay: Overlay, *components: str) -> Object:
    (service,) = ray_services(overlay("prod-cell-a", components))
    spec: Object = service["spec"]
    return spec


def test_blue_green_and_gateway_set_the_upgrade_strategy(overlay: Overlay) -> None:
    assert service_with(overlay, "blue-green")["upgradeStrategy"] == {"type": "NewCluster"}
    stepwise = service_with(overlay, "gateway")["upgradeStrategy"]
    assert stepwise["type"] == "NewClusterWithIncrementalUpgrade"
    assert set(stepwise["clusterUpgradeOptions"]) == {
        "gatewayClassName",
        "maxSurgePercent",
        "stepSizePercent",
        "intervalSeconds",
    }


def test_route_with_the_gateway_component_leads_to_the_gateways_of_the_cells(overlay: Overlay) -> None:
    (route,) = [each for each in overlay("prod-gateway", ["gateway"]) if each["kind"] == "HTTPRoute"]
    before = [each for each in built(K8S / "overlays" / "prod-gateway") if each["kind"] == "HTTPRoute"]
    references = route["spec"]["rules"][0]["backendRefs"]
    cells = [(ref["namespace"], ref["weight"]) for ref in before[0]["spec"]["rules"][0]["backendRefs"]]
    assert [(ref["namespace"], ref["weight"]) for ref in references] == cells
    for reference in references:
        overlay_of_cell = reference["namespace"].replace("rankway", "prod")
        objects = overlay(overlay_of_cell, ["gateway"])
        (service,) = ray_services(objects)
        assert reference["name"] == f"{service['metadata']['name']}-gateway-istio"
        (grant,) = [each for each in objects if each["kind"] == "ReferenceGrant"]
        assert grant["spec"]["to"][0]["name"] == reference["name"]


def test_token_comes_from_a_secret(overlay: Overlay) -> None:
    options = service_with(overlay, "token-auth")["rayClusterConfig"]["authOptions"]
    assert options == {"mode": "token", "secretName": "ray-auth"}


def test_pods_declare_the_scraped_ports(overlay: Overlay) -> None:
    objects = overlay("prod-cell-a", ["monitoring"])
    head, *workers = pod_templates(objects)
    (monitor,) = [each for each in objects if each["kind"] == "PodMonitor"]
    scraped = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
    declared = [
        {p["name"]: p["containerPort"] for p in t["spec"]["containers"][0]["ports"]} for t in (head, *workers)
    ]
    assert declared[0]["as-metrics"] == 44217
    assert scraped <= set(declared[0])
    assert all(scraped - {"as-metrics"} <= set(ports) for ports in declared[1:])


def test_config_map_has_the_complete_dashboards_for_grafana(overlay: Overlay) -> None:
    objects = overlay("prod-cell-a", ["monitoring"])
    (boards,) = [each for each in objects if each["kind"] == "ConfigMap"]
    folder = K8S / "components" / "monitoring" / "dashboards"
    assert boards["data"] == {path.name: path.read_text() for path in folder.iterdir()}
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_pods_use_the_services_and_secrets_of_redis_dev(overlay: Overlay) -> None:
    objects = overlay("dev", ["redis-dev"])
    (service,) = ray_services(objects)
    cluster = service["spec"]["rayClusterConfig"]
    address = cluster["gcsFaultToleranceOptions"]["redisAddress"].partition(":")
    services = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Service"}
    assert services[address[0]]["spec"]["ports"][0]["port"] == int(address[2])
    document = yaml.safe_load(service["spec"]["serveConfigV2"])
    store = document["applications"][0]["args"]["config"]["features"]["store"]
    assert {node.partition(":")[0] for node in store["nodes"]} <= set(services)
    secrets = {
        volume["secret"]["secretName"]
        for each in objects
        if each["kind"] == "StatefulSet"
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    reference = cluster["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]
    assert reference["name"] in secrets
    variables = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    secret_names = {v["name"]: v["valueFrom"]["secretKeyRef"]["name"] for v in variables if "valueFrom" in v}
    assert secret_names[store["password_env"]] in secrets
