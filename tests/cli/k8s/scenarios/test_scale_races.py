"""``rankway k8s scale`` while others write: permissions, conflicts, stale reads and replaced clusters."""

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.k8s.clusters import (
    ACTIVE,
    PENDING,
    SERVICE,
    add_pending,
    bounds_of,
    take_over,
)
from tests.cli.k8s.live import RAISED_BOUNDS, RENDERED_BOUNDS, Live, raise_large
from tests.cli.k8s.test_render import CONFIGS, changed
from tests.k8s.emulation.api import Answer, failure


@pytest.mark.parametrize(
    ("method", "resource", "message"),
    [
        ("GET", "rayservices", "get is not permitted"),
        ("GET", "rayclusters", "get is not permitted"),
        ("PATCH", "rayclusters", "patch is not permitted"),
    ],
)
def test_names_missing_permission(live: Live, method: str, resource: str, message: str) -> None:
    live.objects.forbid(method, resource)
    done = live.scale(raise_large, "--yes")
    assert done.code == 2
    assert message in done.errors
    assert f"Role with the verb {method.lower()} on {resource}.ray.io" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS


def test_retries_after_a_conflict(live: Live) -> None:
    def conflict() -> Answer:
        return failure(409, "Conflict", "the object has been modified; please apply your changes again")

    live.objects.before("PATCH", "rayclusters", conflict, times=2)
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert done.errors.count("not patched, because it was changed meanwhile") == 2
    assert bounds_of(live.objects) == RAISED_BOUNDS


def test_gives_up_on_a_cluster_that_changes_every_time(live: Live) -> None:
    live.objects.before("PATCH", "rayclusters", lambda: failure(409, "Conflict", "modified"), times=99)
    done = live.scale(raise_large, "--yes")
    assert done.code == 2
    assert "the cluster changed during all 5 attempts" in done.errors
    assert live.count("PATCH", "rayclusters") == 5


def test_reads_changed_cluster_again_and_keeps_the_change(live: Live) -> None:
    live.objects.before("PATCH", "rayclusters", lambda: live.set("gpu-small", replicas=120))
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert "not patched, because it was changed meanwhile" in done.errors
    assert done.out.count("maxReplicas 50 -> 80") == 1  # the change is the same, so it is not shown again
    assert bounds_of(live.objects) == RAISED_BOUNDS | {"gpu-small": (0, 120, 200)}


def test_concurrent_status_update_is_not_a_conflict(live: Live) -> None:
    def write_status() -> None:
        live.objects.write("rayclusters", ACTIVE, lambda document: document["status"].update(ready=1))

    live.objects.before("PATCH", "rayclusters", write_status)
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert live.count("PATCH", "rayclusters") == 1


def test_keeps_nodes_that_were_added_meanwhile(live: Live) -> None:
    def lower(document: dict[str, Any]) -> None:
        document["pools"]["cpu"]["max_nodes"] = 60

    live.objects.before("PATCH", "rayclusters", lambda: live.set("cpu", replicas=61))
    done = live.scale(lower, "--yes")
    assert done.code == 2
    assert "below the 61 nodes" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS | {"cpu": (1, 61, 400)}


def test_patches_the_right_groups_after_a_reordering(live: Live) -> None:
    def reorder() -> None:
        live.objects.write(
            "rayclusters", ACTIVE, lambda document: document["spec"]["workerGroupSpecs"].reverse()
        )

    live.objects.before("PATCH", "rayclusters", reorder)
    assert live.scale(raise_large, "--yes").code == 0
    assert bounds_of(live.objects) == RAISED_BOUNDS


def test_reports_rejected_patch_and_does_not_retry(live: Live) -> None:
    live.objects.before("PATCH", "rayclusters", lambda: failure(422, "Invalid", "spec: no"), times=99)
    done = live.scale(raise_large, "--yes")
    assert done.code == 2
    assert "the API server rejects the patch" in done.errors
    assert live.count("PATCH", "rayclusters") == 1


def test_patches_only_the_new_cluster_if_the_old_one_is_replaced_before_the_patch(live: Live) -> None:
    add_pending(live.objects)
    live.objects.before("GET", "rayclusters", lambda: take_over(live.objects))
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert f"RayCluster {ACTIVE}: not patched, because another cluster has taken over" in done.errors
    assert f"RayCluster {PENDING}: patched" in done.errors
    assert bounds_of(live.objects) == RENDERED_BOUNDS
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 80)


def test_also_patches_the_new_cluster_if_the_old_one_is_replaced_during_the_patch(live: Live) -> None:
    add_pending(live.objects)
    live.objects.before("PATCH", "rayclusters", lambda: take_over(live.objects))
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert f"RayCluster {ACTIVE}: patched, but another cluster has taken over" in done.errors
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 80)


def test_patches_the_new_cluster_if_the_old_one_is_deleted_during_the_patch(live: Live) -> None:
    def replace() -> None:
        take_over(live.objects)
        live.objects.remove("rayclusters", ACTIVE)

    add_pending(live.objects)
    live.objects.before("PATCH", "rayclusters", replace)
    assert live.scale(raise_large, "--yes").code == 0
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 80)


def test_scales_active_cluster_during_an_upgrade_and_mentions_the_pending_one(live: Live) -> None:
    add_pending(live.objects)
    done = live.scale(raise_large, "--yes")
    assert done.code == 0, done
    assert f"RayCluster {PENDING} will take over with its own bounds" in done.out
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 50)
    assert live.scale(raise_large, "--yes", "--pending").code == 0
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 80)


def test_scales_pending_cluster_if_none_was_ever_active(live: Live) -> None:
    add_pending(live.objects)
    live.objects.write("rayservices", SERVICE, lambda document: document["status"].pop("activeServiceStatus"))
    assert live.scale(raise_large, "--yes").code == 0
    assert bounds_of(live.objects, PENDING)["gpu-large"] == (0, 0, 80)


def test_asks_again_on_a_terminal_if_the_change_differs_meanwhile(live: Live) -> None:
    live.objects.before("PATCH", "rayclusters", lambda: live.set("gpu-large", maxReplicas=60))
    config = changed(live.folder, raise_large)
    terminal, stdin = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "k8s", "scale", str(config)],
        cwd=CONFIGS.parent,
        env={**os.environ, **live.environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        os.write(terminal, b"y\nn\n")
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(terminal)
        os.close(stdin)
    assert process.returncode == 1, output
    parts = output.split("Patch it? [y/N]: ")
    assert len(parts) == 3, output
    assert "maxReplicas 50 -> 80" in parts[0]
    assert "maxReplicas 60 -> 80" in parts[1]
    assert f"RayCluster {ACTIVE}: not patched" in parts[2]
    assert bounds_of(live.objects) == RENDERED_BOUNDS | {"gpu-large": (0, 0, 60)}
