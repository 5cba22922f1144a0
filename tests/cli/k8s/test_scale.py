"""``rankway k8s scale`` with the real kubectl against an emulated API: its patches, refusals and messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.k8s.clusters import (
    ACTIVE,
    NAMESPACE,
    SERVICE,
    bounds_of,
    groups_of,
)
from tests.cli.k8s.live import RENDERED_BOUNDS, Live, raise_large
from tests.cli.k8s.test_render import CONFIGS


def test_a_raised_maximum_reaches_the_running_cluster_and_nothing_else_changes(live: Live) -> None:
    before = live.objects.get("rayclusters", ACTIVE)["spec"]
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert "gpu-large, 0 nodes: maxReplicas 50 -> 80" in done.out
    assert f"RayCluster {ACTIVE}: patched" in done.errors
    after = live.objects.get("rayclusters", ACTIVE)["spec"]
    assert after["workerGroupSpecs"][2]["maxReplicas"] == 80
    after["workerGroupSpecs"][2]["maxReplicas"] = 50
    assert after == before


def test_a_dry_run_shows_the_difference_and_sends_no_patch(live: Live) -> None:
    done = live.scale(raise_large, "--dry-run")
    assert done.code == 0, done
    assert f"RayCluster {ACTIVE} of RayService {SERVICE}, namespace {NAMESPACE}" in done.out
    assert "cpu, 50 nodes: no difference" in done.out
    assert "gpu-large, 0 nodes: maxReplicas 50 -> 80" in done.out
    assert live.count("PATCH", "rayclusters") == 0


def test_without_a_difference_nothing_is_patched(live: Live) -> None:
    done = live.scale(lambda _: None, "--yes")
    assert done.code == 0, done
    assert done.out.count("no difference") == 3
    assert "note" not in done.out
    assert live.count("PATCH", "rayclusters") == 0


def test_requires_an_option_instead_of_a_prompt_without_a_terminal(live: Live) -> None:
    done = live.scale(raise_large)
    assert done.code == 2
    assert "add --yes or --dry-run" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS


def test_json_has_every_change(live: Live) -> None:
    done = live.scale(raise_large, "--yes", "--json")
    document = json.loads(done.out)
    assert document["outcome"] == "patched"
    assert (document["cluster"], document["namespace"]) == (ACTIVE, NAMESPACE)
    changes = {group["group"]: group["changes"] for group in document["groups"]}
    assert changes["gpu-large"] == [{"field": "maxReplicas", "live": 50, "wanted": 80}]
    assert changes["cpu"] == changes["gpu-small"] == []
    (note,) = document["notes"]
    assert "the RayService still has gpu-large maxReplicas 50" in note


def test_raised_minimum_adds_nodes_at_once_and_removes_none(live: Live) -> None:
    def raise_minimum(document: dict[str, Any]) -> None:
        document["pools"]["gpu-small"]["min_nodes"] = 80
        document["pools"]["gpu-large"]["min_nodes"] = 4

    assert live.scale(raise_minimum, "--yes").code == 0
    assert bounds_of(live.objects) == RENDERED_BOUNDS | {"gpu-small": (80, 100, 200), "gpu-large": (4, 4, 50)}


def test_refuses_maximum_below_the_running_nodes_and_names_the_remedy(live: Live) -> None:
    def lower(document: dict[str, Any]) -> None:
        document["pools"]["cpu"]["max_nodes"] = 49
        document["pools"]["gpu-large"]["max_nodes"] = 80

    done = live.scale(lower, "--yes")
    assert done.code == 2
    assert "pools.cpu.max_nodes: below the 50 nodes" in done.errors
    assert "apply the lower bound to the RayService first" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS


def test_a_new_toleration_is_added_and_one_of_an_overlay_is_kept(live: Live) -> None:
    own = {"key": "team", "operator": "Equal", "value": "ranking", "effect": "NoSchedule"}

    def add_own(document: dict[str, Any]) -> None:
        document["spec"]["workerGroupSpecs"][2]["template"]["spec"]["tolerations"].append(own)

    def on_spot(document: dict[str, Any]) -> None:
        document["pools"]["gpu-large"]["spot"] = {"interruptions_per_hour": 0.1}

    live.objects.write("rayclusters", ACTIVE, add_own)
    done = live.scale(on_spot, "--yes")
    assert done.code == 0, done
    assert "kept, because only the live cluster has it" in done.out
    tolerations = groups_of(live.objects)["gpu-large"]["template"]["spec"]["tolerations"]
    assert [each["key"] for each in tolerations] == ["nvidia.com/gpu", "team", "rankway/spot"]


def test_changes_nothing_if_the_live_cluster_lacks_a_group(live: Live) -> None:
    def add_pool(document: dict[str, Any]) -> None:
        raise_large(document)
        document["pools"]["cpu-new"] = dict(document["pools"]["cpu"])
        document["units"]["ranker"]["pools"]["cpu-new"] = {
            "replicas": 0,
            "profile": str(profile_of_a_new_pool(live.folder)),
        }

    done = live.scale(add_pool, "--yes")
    assert done.code == 2
    assert f"pools.cpu-new: not a group of RayCluster {ACTIVE}" in done.errors
    assert "can add a group to a running cluster only at the end" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS


def profile_of_a_new_pool(folder: Path) -> Path:
    document = json.loads((CONFIGS / "profiles" / "cluster-ranker-cpu.json").read_text())
    path = folder / "profile.json"
    path.write_text(json.dumps(document | {"pool": "cpu-new"}))
    return path


def test_changes_nothing_if_only_the_live_cluster_has_a_group(live: Live) -> None:
    def remove_pool(document: dict[str, Any]) -> None:
        raise_large(document)
        del document["units"]["ranker"]["pools"]["gpu-small"]

    done = live.scale(remove_pool, "--yes")
    assert done.code == 2
    assert f"RayCluster {ACTIVE} has a group that no unit uses, got gpu-small" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pending",), "no pending cluster, got cluster-aaaaa"),
        (("--name", "other"), "rayservices.ray.io/other: not found"),
        (("--namespace", "elsewhere"), "rayservices.ray.io/cluster: not found"),
        (("--context", "cell-z"), "cell-z"),
    ],
)
def test_names_missing_cluster(live: Live, options: tuple[str, ...], message: str) -> None:
    done = live.scale(raise_large, "--yes", *options)
    assert done.code == 2
    assert message in done.errors
    assert live.count("PATCH", "rayclusters") == 0
