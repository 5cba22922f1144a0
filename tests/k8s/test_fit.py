"""Every deployment fits a node group, according to Ray's own RayCluster reader."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from services.sharding.actors import unplaceable
from tests.k8s.built import BASE, OVERLAYS, Object, built, ray_services, rendered_service, serve_document

SERVICES = [
    pytest.param(service, id=folder.name)
    for folder in (BASE, *OVERLAYS)
    for service in ray_services(built(folder))
]
# Its replicas have four ranks.
SERVICES.append(pytest.param(rendered_service("cluster-gpu.yaml"), id="cluster-gpu"))


def worker_types(service: Object) -> dict[str, Any]:
    """Return the autoscaler's node types for workers: resources, labels, and bounds. The head has no CPUs."""
    cluster = {"metadata": {"name": "x", "namespace": "y"}, "spec": service["spec"]["rayClusterConfig"]}
    config = _derive_autoscaling_config_from_ray_cr(cluster)
    types: dict[str, Any] = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    assert head["resources"]["CPU"] == 0
    return types


def wanted_bundles(deployment: Object) -> tuple[list[dict[str, float]], dict[str, str]]:
    """Return one replica's resource bundles and label selector, as Serve requests them from Ray."""
    if "placement_group_bundles" in deployment:
        (selector,) = deployment.get("placement_group_bundle_label_selector", [{}])
        return deployment["placement_group_bundles"], selector
    options = deployment["ray_actor_options"]
    bundle = {"CPU": options.get("num_cpus", 1.0), "GPU": options.get("num_gpus", 0.0)}
    if "accelerator_type" in options:
        bundle[f"accelerator_type:{options['accelerator_type']}"] = 0.001
    bundle |= options.get("resources", {})
    return [{name: amount for name, amount in bundle.items() if amount}], options.get("label_selector", {})


def misfits(service: Object) -> list[str]:
    """Return a message for every deployment that fits no group, or that does not match exactly one group."""
    messages = []
    types = worker_types(service)
    for application in serve_document(service)["applications"]:
        for deployment in application["deployments"]:
            bundles, selector = wanted_bundles(deployment)
            labelled = {n: t for n, t in types.items() if selector.items() <= t["labels"].items()}
            if len(labelled) != 1:
                messages.append(
                    f"{deployment['name']}: exactly one group must have the labels {selector}, got {sorted(labelled)}"
                )
                continue
            ((name, group),) = labelled.items()
            fault = unplaceable(bundles, [group["resources"]] * min(len(bundles), group["max_workers"]))
            if fault is not None:
                messages.append(f"{deployment['name']}: group {name} has no room: {fault}")
    return messages


@pytest.mark.parametrize("service", SERVICES)
def test_every_deployment_fits_the_one_group_of_its_pool(service: Object) -> None:
    assert misfits(service) == []


@pytest.mark.parametrize("service", SERVICES)
def test_deployment_runs_on_the_pool_in_its_name(service: Object) -> None:
    for deployment in serve_document(service)["applications"][0]["deployments"]:
        _, selector = wanted_bundles(deployment)
        assert deployment["name"].partition("@")[2] == selector["rankway/pool"]


@pytest.mark.parametrize("service", SERVICES)
def test_groups_have_the_bounds_of_their_pools(service: Object) -> None:
    pools = serve_document(service)["applications"][0]["args"]["config"]["pools"]
    for name, group in worker_types(service).items():
        assert (group["min_workers"], group["max_workers"]) == (
            pools[name]["min_nodes"],
            pools[name]["max_nodes"],
        )
        assert group["resources"]["CPU"] == pools[name]["cpus"]
        assert group["resources"].get("GPU", 0) == pools[name]["gpus"]


def base_service() -> Object:
    (service,) = ray_services(built(BASE))
    return service


def change_group(name: str, change: Callable[[Object], Any]) -> Object:
    service = base_service()
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    change(next(group for group in groups if group["groupName"] == name))
    return service


MUTANTS = [
    ("cpu", lambda group: group["resources"].update(CPU="0"), "ingress@cpu: group cpu has no room: .* CPU"),
    ("gpu-small", lambda group: group["resources"].update(CPU="1"), "ranker@gpu-small: .* 2 CPU"),
    ("gpu-small", lambda group: group["resources"].update(GPU="0"), "ranker@gpu-small: .* 1 GPU"),
    (
        "gpu-large",
        lambda group: group["resources"].pop("accelerator_type:H100"),
        "ranker@gpu-large: .* accelerator_type:H100",
    ),
    ("gpu-large", lambda group: group.update(labels={}), r"ranker@gpu-large: exactly one group .*, got \[\]"),
    (
        "gpu-large",
        lambda group: group.update(labels={"rankway/pool": "gpu-small"}),
        "ranker@gpu-small: exactly one group must have the labels",
    ),
]


@pytest.mark.parametrize(("group", "change", "message"), MUTANTS)
def test_detects_a_deployment_that_does_not_fit_its_group(
    group: str, change: Callable[[Object], Any], message: str
) -> None:
    messages = "\n".join(misfits(change_group(group, change)))
    assert re.search(message, messages), messages


def test_detects_a_shard_group_that_is_larger_than_its_nodes() -> None:
    service = rendered_service("cluster-gpu.yaml")
    (group,) = [g for g in service["spec"]["rayClusterConfig"]["workerGroupSpecs"] if g["groupName"] == "gpu"]
    group["resources"]["GPU"], group["maxReplicas"] = "1", 3
    assert re.search(
        "ranker@gpu: group gpu has no room: 4 ranks need 1 GPU each", "\n".join(misfits(service))
    )
