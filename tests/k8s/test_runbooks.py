"""Commands and YAML of k8s/README.md that an operator copies: the tests run or render them unchanged."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from cli.k8s.render import rendered
from tests.cli.k8s.clusters import (
    ACTIVE,
    NAMESPACE,
    PENDING,
    ServedObjects,
    add_pending,
    serving_objects,
    take_over,
)
from tests.k8s.built import K8S, ROOT, Object, kubectl, serve_document
from tests.k8s.emulation.objects import Objects
from tests.pipelines import merged

README = (K8S / "README.md").read_text(encoding="utf-8")


def block(begins: str) -> str:
    """Return the README's indented block whose first line begins with ``begins``."""
    match = re.search(rf"^( +){re.escape(begins)}.*\n(?:\1.*\n|\n(?=\1))*", README, re.MULTILINE)
    assert match is not None, begins
    return textwrap.dedent(match[0])


def add_pod(objects: Objects, name: str, cluster: str, node_type: str, role: str) -> None:
    labels = {"rankway/role": role, "ray.io/cluster": cluster, "ray.io/node-type": node_type}
    objects.add("pods", {"apiVersion": "v1", "metadata": {"name": name, "labels": labels}, "spec": {}})


def head_of(environment: dict[str, str]) -> str:
    """Run the documented lines, and return the head that they find."""
    lines = [line for line in block("N=").splitlines() if re.match("[A-Z]+=", line)]
    assert lines[0] == f"N={NAMESPACE}"
    path = f"{Path(kubectl()).parent}:{os.environ['PATH']}"
    script = "\n".join(["set -e", *lines, 'echo "$HEAD"'])
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("switched", [False, True])
def test_documented_line_finds_only_the_head_of_the_active_cluster(
    api: tuple[ServedObjects, dict[str, str]], switched: bool
) -> None:
    held, environment = api
    held.objects = serving_objects()
    add_pending(held.objects)
    for cluster in (ACTIVE, PENDING):
        add_pod(held.objects, f"{cluster}-cleanup-1", cluster, "redis-cleanup", "head")
        add_pod(held.objects, f"{cluster}-head-1", cluster, "head", "head")
        add_pod(held.objects, f"{cluster}-cpu-1", cluster, "worker", "worker")
    if switched:
        take_over(held.objects)
    assert head_of(environment) == f"pod/{PENDING if switched else ACTIVE}-head-1\n"


def test_documented_change_starts_a_new_cluster_with_the_running_size(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "configs" / "cluster.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(merged(config, yaml.safe_load(block("units:")))), encoding="utf-8")
    service: Object = yaml.safe_load(rendered(path, ROOT)["rayservice.yaml"])
    groups = {g["groupName"]: g["replicas"] for g in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]}
    assert groups["gpu-small"] == 100
    assert groups["cpu"] == 32  # 500 replicas with one CPU each, on nodes with 16 CPUs
    scaling = {
        each["name"]: each["autoscaling_config"]
        for each in serve_document(service)["applications"][0]["deployments"]
    }
    for name, replicas in (("ingress@cpu", 500), ("ranker@gpu-small", 100)):
        assert scaling[name]["initial_replicas"] == scaling[name]["min_replicas"] == replicas


def test_every_link_within_the_readme_has_a_target() -> None:
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= anchors
