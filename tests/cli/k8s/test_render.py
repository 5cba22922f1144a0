"""``rankway k8s render``: the files that it writes, and the inputs that it refuses without changing anything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import root

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
FILES = {"disruption-budgets.yaml", "kustomization.yaml", "rayservice.yaml"}


def render(config: Path, out: Path) -> Result:
    return CliRunner().invoke(root(["k8s"]), ["k8s", "render", str(config), str(out)])


def changed(folder: Path, change: Callable[[dict[str, Any]], Any], name: str = "cluster.yaml") -> Path:
    document = yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8"))
    change(document)
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def worker_groups(out: Path) -> dict[str, Any]:
    service = yaml.safe_load((out / "rayservice.yaml").read_text(encoding="utf-8"))
    return {group["groupName"]: group for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]}


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster-gpu.yaml", "cluster-dev.yaml"])
def test_renders_pipeline_with_pools_for_kustomize(name: str, tmp_path: Path) -> None:
    done = render(CONFIGS / name, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert f"configs/{name}" in (tmp_path / "out" / "rayservice.yaml").read_text().splitlines()[0]


def test_replaces_an_earlier_rendering(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert render(CONFIGS / "cluster.yaml", out).exit_code == 0
    (out / "left-over.yaml").write_text((out / "rayservice.yaml").read_text())
    assert render(CONFIGS / "cluster-gpu.yaml", out).exit_code == 0
    assert {path.name for path in out.iterdir()} == FILES
    assert set(worker_groups(out)) == {"cpu", "gpu"}


def test_refuses_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = render(CONFIGS / "cluster.yaml", tmp_path)
    assert done.exit_code == 2
    assert "notes.txt" in done.output
    assert "name an empty folder" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_warns_of_pool_without_room_for_an_update(tmp_path: Path) -> None:
    def fill(document: dict[str, Any]) -> None:
        document["pools"]["cpu"]["max_nodes"] = 2
        document["autoscaling"]["bounds"]["ingress"] = {
            "min_replicas": 32
        }  # one CPU each, on nodes with 16 CPUs

    done = render(changed(tmp_path, fill), tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "pools.cpu.max_nodes" in done.output
    assert "give 3 or more" in done.output
    assert "max_nodes" not in render(CONFIGS / "cluster.yaml", tmp_path / "out").output


def test_refuses_to_overwrite_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    done = render(CONFIGS / "cluster.yaml", out)
    assert done.exit_code == 2
    assert f"OUT: must be a folder, got the file {out}" in done.output
    assert out.read_text() == "mine"


REFUSED: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d.update(name="c" * 48), "at most 47 characters"),
    (lambda d: d.update(name="cluster-"), "end with a letter or digit"),
    (
        lambda d: d["pools"]["gpu-small"].update(min_nodes=201),
        "min_nodes must be at most max_nodes, got 201 and 200",
    ),
    (
        lambda d: d["pools"]["gpu-small"].update(cpus=1),
        "needs 2 cpus, but a node of pool gpu-small has 1",
    ),
    (lambda d: d["units"]["ranker"]["pools"]["gpu-small"].update(gpus=2), "needs 2 gpus"),
    (lambda d: d["pools"]["cpu"].update(labels={"ray.io/zone": "a"}), "cannot start with the prefix"),
    (lambda d: d["pools"]["cpu"].update(labels={"zone": "!a"}), "Invalid label key value"),
    (lambda d: d["pools"]["gpu-small"].update(accelerator="L 4"), "Invalid label key value"),
    (lambda d: d["pools"]["cpu"].update(cpus=0.5), "Ray counts whole CPUs per node, got 0.5"),
    (lambda d: d["units"]["ingress"].pop("pools"), "nodes for all units without pools under pools.local"),
    (lambda d: d["units"]["ingress"].update(profile="nowhere.json", pools={"cpu": {}}), "nowhere.json"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refuses_pipeline_that_kubernetes_would_refuse_and_writes_nothing(
    change: Callable[[dict[str, Any]], Any], message: str, tmp_path: Path
) -> None:
    done = render(changed(tmp_path, change), tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert not (tmp_path / "out").exists()


def test_error_for_missing_pools_names_the_remedy(tmp_path: Path) -> None:
    done = render(CONFIGS / "walks.yaml", tmp_path / "out")
    assert done.exit_code == 2
    assert "units.main.pools: missing" in done.output
    assert "pools.local" in done.output


def test_pipeline_without_pools_uses_the_pool_local(tmp_path: Path) -> None:
    pool = {"cpus": 8, "memory_gib": 16, "min_nodes": 1, "max_nodes": 4}
    config = changed(tmp_path, lambda d: d.update(pools={"local": pool}), "walks.yaml")
    done = render(config, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "kind redis is a server that all pods share" in done.output
    assert worker_groups(tmp_path / "out")["local"]["maxReplicas"] == 4


def test_refuses_shard_group_that_fits_no_pool(tmp_path: Path) -> None:
    def on_few_gpus(document: dict[str, Any]) -> None:
        document["pools"]["gpu"].update(gpus=1, max_nodes=3)

    done = render(changed(tmp_path, on_few_gpus, "cluster-gpu.yaml"), tmp_path / "out")
    assert done.exit_code == 2
    assert "4 ranks need 1 GPU each" in done.output


def test_a_password_of_the_store_comes_from_a_secret(tmp_path: Path) -> None:
    def with_password(document: dict[str, Any]) -> None:
        document["features"]["store"]["password_env"] = "STORE_PASSWORD"

    assert render(changed(tmp_path, with_password), tmp_path / "out").exit_code == 0
    container = worker_groups(tmp_path / "out")["cpu"]["template"]["spec"]["containers"][0]
    assert container["env"][-1] == {
        "name": "STORE_PASSWORD",
        "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
    }


def test_workers_may_write_the_home_only_if_the_pipeline_keeps_files_there(tmp_path: Path) -> None:
    for path, read_only in (("log", False), ("s3://bucket/log", True)):
        config = changed(tmp_path, lambda d, path=path: d.update(log={"path": path}))  # type: ignore[misc]
        assert render(config, tmp_path / "out").exit_code == 0
        (mount,) = worker_groups(tmp_path / "out")["cpu"]["template"]["spec"]["containers"][0]["volumeMounts"]
        assert mount["readOnly"] is read_only


def test_pod_has_time_to_leave_the_routes_and_to_move_its_replicas(tmp_path: Path) -> None:
    def with_spot(document: dict[str, Any]) -> None:
        document["pools"]["gpu-large"]["spot"] = {"interruptions_per_hour": 0.1, "notice_s": 25}

    assert render(changed(tmp_path, with_spot), tmp_path / "out").exit_code == 0
    groups = worker_groups(tmp_path / "out")
    pods = {name: group["template"]["spec"] for name, group in groups.items()}
    leaves = {
        n: pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] for n, pod in pods.items()
    }
    assert leaves["cpu"] == "sleep 40; exec python -m services.deployment.drain --limit-s 180"
    assert leaves["gpu-large"] == "python -m services.deployment.drain --limit-s 25 & sleep 40; wait"
    assert {n: pod["terminationGracePeriodSeconds"] for n, pod in pods.items()} == {
        "cpu": 240,
        "gpu-small": 300,
        "gpu-large": 60,
    }
    assert pods["gpu-large"]["nodeSelector"]["rankway/spot"] == "true"
    assert {each["key"] for each in pods["gpu-large"]["tolerations"]} == {"nvidia.com/gpu", "rankway/spot"}
    assert "tolerations" not in pods["cpu"]
