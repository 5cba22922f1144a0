"""The committed manifests under k8s/ build, and their objects are valid for their APIs."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ray.serve.schema import ServeDeploySchema

from services.app import PipelineArgs
from services.deployment.serve_config import refuse_unknown_fields
from services.errors import ConfigError
from tests.k8s.built import BASE, OVERLAYS, Object, built, ray_services, rendered_service, serve_document
from tests.k8s.schemas import faults

FOLDERS = [BASE, *OVERLAYS]
KUBERNETES = "1.37"
# Serve 2.60 warns that the interval will become an environment variable, but nothing reads that variable yet.
pytestmark = pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")
CORE = ("policy", "apps", "batch", "networking.k8s.io", "scheduling.k8s.io", "rbac.authorization.k8s.io")


def is_core(each: Object) -> bool:
    group, _, _ = each["apiVersion"].rpartition("/")
    return group in ("", *CORE)


def validate_core(each: Object) -> None:
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_overlays_for_development_and_production_cells_exist() -> None:
    assert {path.name for path in OVERLAYS} >= {"dev", "prod-cell-a", "prod-cell-b"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_folder_builds_into_objects_with_unique_names(folder: Path) -> None:
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in built(folder)]
    assert names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_core_objects_are_valid_for_kubernetes(folder: Path) -> None:
    for each in filter(is_core, built(folder)):
        validate_core(each)


def test_detects_a_field_unknown_to_kubernetes() -> None:
    budget = next(each for each in built(BASE) if each["kind"] == "PodDisruptionBudget")
    budget["spec"]["minimumAvailable"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        validate_core(budget)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_pod_templates_are_valid_for_kubernetes(folder: Path) -> None:
    for template in pod_templates(built(folder)):
        validate_core(as_pod(template))


def test_detects_a_field_of_a_pod_unknown_to_kubernetes() -> None:
    template = pod_templates(built(BASE))[1]
    template["spec"]["containers"][0]["volumeMounts"][0]["readonly"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        validate_core(as_pod(template))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_ray_services_are_valid_for_kuberay(folder: Path) -> None:
    for service in ray_services(built(folder)):
        assert faults(service) == []


def test_pipeline_with_shard_groups_is_valid_for_kuberay_and_kubernetes() -> None:
    service = rendered_service("cluster-gpu.yaml")
    assert faults(service) == []
    for template in pod_templates([service]):
        validate_core(as_pod(template))


def test_detects_a_field_unknown_to_kuberay() -> None:
    (service,) = ray_services(built(BASE))
    service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["minReplica"] = 1
    del service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]
    assert [fault.partition(":")[0] for fault in faults(service)] == [
        "spec.rayClusterConfig.headGroupSpec",
        "spec.rayClusterConfig.workerGroupSpecs.0",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_serve_configs_are_valid_for_serve(folder: Path) -> None:
    for service in ray_services(built(folder)):
        document = serve_document(service)
        refuse_unknown_fields(document)
        schema = ServeDeploySchema.model_validate(document)
        (application,) = schema.applications
        arguments = PipelineArgs.model_validate(application.args)
        assert application.name == arguments.config.name == service["metadata"]["name"]


def test_rejects_a_field_that_serve_would_drop_silently() -> None:
    (service,) = ray_services(built(BASE))
    document = serve_document(service)
    document["applications"][0]["deployments"][0]["autoscaling_config"]["max_replcas"] = 3
    with pytest.raises(ConfigError, match="max_replcas"):
        refuse_unknown_fields(document)


def pod_templates(objects: list[Object]) -> list[Object]:
    """Return all groups' pod templates. Each RayService's head comes first."""
    clusters = [service["spec"]["rayClusterConfig"] for service in ray_services(objects)]
    groups = [group for each in clusters for group in (each["headGroupSpec"], *each["workerGroupSpecs"])]
    return [group["template"] for group in groups]


def as_pod(template: Object) -> dict[str, Any]:
    """Return the pod for a template. KubeRay's own schema does not check a pod's enumerations."""
    metadata = {**template["metadata"], "name": "pod"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
