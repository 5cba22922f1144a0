"""A rendered RayService on this machine: groups of raylets behind a Kubernetes API, scaled by Ray's own autoscaler.

Every node has an HAProxy on a separate port. Clients connect to the proxy of a surviving node. The emulation
does not cover:

- KubeRay's operator;
- a Service or gateway in front of the proxies. Clients of a lost node's proxy see a reset connection, unless a gateway
  retries;
- node addresses, network delays and real GPUs.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from cli.main import root
from services.config.loading import load_config
from tests.k8s.emulation.cluster import NAME, Emulated, emulated
from tests.k8s.emulation.manifest import Document
from tests.k8s.emulation.pipeline import emulated_pipeline, rendered
from tests.pipelines import bias_of
from tests.services.processes import load, title
from tests.services.servers import ask, rank_request

CLIENTS, PAUSE_S = 4, 0.02
"""A load that leaves enough CPU time for nodes to start."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    home = tmp_path_factory.mktemp("emulation")
    config = emulated_pipeline(home)
    service = rendered(load_config(config), home)
    # As if the manifest was applied before the pool's max_nodes became 2.
    group_of(service["spec"]["rayClusterConfig"])["maxReplicas"] = 1
    with emulated(service, home) as running:
        running.wait_for(running.head().up.is_set, "the head starts")
        running.deploy()
        running.wait_for(lambda: settled(running), "the pipeline runs on its first nodes")
        allow_second_gpu_node(running, config)
        yield running
    directory = running.machine.directory
    assert not directory.exists()
    assert [each for each in psutil.process_iter() if str(directory) in title(each)] == []


def group_of(cluster: Document, name: str = "gpu") -> Document:
    """Return a worker group's spec."""
    group_spec: Document = next(group for group in cluster["workerGroupSpecs"] if group["groupName"] == name)
    return group_spec


def allow_second_gpu_node(cluster: Emulated, config: Path) -> None:
    """Raise the running cluster's maximum from 1 to the YAML's with ``rankway k8s scale``."""
    arguments = ["k8s", "scale", str(config), "--name", NAME, "--yes"]
    done = CliRunner(env=cluster.kubectl).invoke(root(arguments), arguments)
    assert done.exit_code == 0, done.output
    assert "gpu, 1 nodes: maxReplicas 1 -> 2" in done.stdout
    cluster.timeline.note("scaled", done.stdout.splitlines()[0])


FEWEST = {"main@front": 2, "scorer@cpu": 1, "scorer@gpu": 1}


def settled(cluster: Emulated) -> bool:
    """Return whether the pipeline runs with its fewest replicas."""
    return cluster.is_running() and {name: len(pods) for name, pods in cluster.replicas().items()} == FEWEST


def test_each_deployment_runs_on_the_nodes_of_its_pool(cluster: Emulated) -> None:
    for deployment, pods in cluster.replicas().items():
        group = deployment.partition("@")[2]
        assert set(pods) <= {pod.name for pod in cluster.pods(group)}, deployment


def test_every_proxy_answers_with_correct_scores(cluster: Emulated) -> None:
    body = {"user_id": "u5", "candidates": ["item-0003"], "deadline_ms": 20_000}
    asked = [cluster.head(), *cluster.pods("front")]
    cluster.wait_for(
        lambda: all(cluster.proxies().get(pod.name) == "HEALTHY" for pod in asked), "each has a proxy"
    )
    for pod in asked:
        reply = ask(pod.http_port, rank_request(body))
        assert (reply.status, reply.json["items"]) == (200, [{"id": "item-0003", "score": bias_of(5) + 3}])
    cluster.timeline.note("answered")


def test_load_adds_a_node_and_idleness_removes_it(cluster: Emulated) -> None:
    cluster.wait_for(lambda: settled(cluster), "as few replicas as may be")
    with load(cluster.pods("front")[0].http_port, CLIENTS, PAUSE_S) as asked:
        cluster.wait_for(lambda: len(cluster.replicas().get("scorer@gpu", [])) == 2, "a second GPU replica")
        cluster.timeline.note("replica up", ", ".join(cluster.replicas()["scorer@gpu"]))
        assert len(set(cluster.replicas()["scorer@gpu"])) == 2
        asked.wait_for(100)
    assert asked.wrong == []
    assert set(asked.statuses) == {200}
    cluster.wait_for(lambda: settled(cluster) and len(cluster.pods("gpu")) == 1, "the second GPU node goes")
    cluster.timeline.note("scaled down")


@pytest.mark.parametrize("group", ["front", "cpu"])
def test_a_killed_raylet_fails_no_request_and_is_replaced(cluster: Emulated, group: str) -> None:
    cluster.wait_for(lambda: settled(cluster), "as few replicas as may be")
    deployment = {"front": "main@front", "cpu": "scorer@cpu"}[group]
    spared, *_ = [pod for pod in cluster.pods("front")]
    victim = cluster.pods(group)[-1]
    assert victim is not spared
    with load(spared.http_port, CLIENTS, PAUSE_S) as asked:
        asked.wait_for(300)
        cluster.timeline.note("killed", victim.name)
        victim.kill()

        def is_replaced() -> bool:
            pods = cluster.replicas().get(deployment, [])
            return len(pods) == len(cluster.pods(group)) and victim.name not in pods

        cluster.wait_for(is_replaced, f"{deployment} is whole on other nodes")
        asked.wait_for(300)
        message = f"{asked.statuses.total()} answers, the slowest in {asked.slowest_s:.2f} s"
        cluster.timeline.note("recovered", f"{deployment} on {cluster.replicas()[deployment]}; {message}")
    assert asked.wrong == []
    assert set(asked.statuses) == {200}


def test_cluster_answers_without_a_head_and_recovers_with_the_next_one(cluster: Emulated) -> None:
    cluster.wait_for(lambda: settled(cluster), "as few replicas as may be")
    with load(cluster.pods("front")[0].http_port, CLIENTS, PAUSE_S) as asked:
        asked.wait_for(100)
        with cluster.without_head():
            asked.wait_for(1000)
        cluster.wait_for(cluster.head().up.is_set, "the next head is up")
        cluster.wait_for(cluster.is_running, "the controller knows its replicas again")
        asked.wait_for(300)
        message = f"{asked.statuses.total()} answers, the slowest in {asked.slowest_s:.2f} s"
        cluster.timeline.note("recovered", message)
    assert asked.wrong == []
    assert set(asked.statuses) == {200}
    cluster.wait_for(lambda: settled(cluster), "replicas that the load had brought go again")
    cluster.deploy(lambda document: scale(document, 2))
    cluster.wait_for(
        lambda: len(cluster.replicas().get("scorer@gpu", [])) == 2, "what is deployed is taken up"
    )
    cluster.timeline.note("redeployed", f"scorer@gpu on {cluster.replicas()['scorer@gpu']}")
    cluster.deploy(lambda document: scale(document, 1))


def scale(document: Document, replicas: int) -> None:
    """Set the minimum number of GPU replicas. Changing this deployment option restarts no replica."""
    deployments = document["applications"][0]["deployments"]
    options = next(each for each in deployments if each["name"] == "scorer@gpu")
    options["autoscaling_config"] |= {"min_replicas": replicas, "initial_replicas": replicas}
