"""The patch that adapts a live RayCluster's groups to a configuration, for random groups."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.k8s.scaling import differences, patch_of
from services.errors import ConfigError
from tests.k8s.emulation.json_patch import PatchFailed, patched

NAMES = ("cpu", "gpu-small", "gpu-large")
TOLERATIONS: list[dict[str, Any]] = [
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "rankway/spot", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "team", "value": "ranking"},
]
Document = dict[str, Any]


@st.composite
def groups(draw: st.DrawFn, *, is_live: bool) -> Document:
    """Draw a group. A live group may lack fields, or be outside its own bounds."""
    least, most = sorted((draw(st.integers(0, 30)), draw(st.integers(1, 30))))
    tolerations = draw(st.lists(st.sampled_from(TOLERATIONS), unique_by=lambda each: each["key"]))
    pod = {"containers": [{"name": "ray-worker"}]} | ({"tolerations": tolerations} if tolerations else {})
    group: Document = {"minReplicas": least, "maxReplicas": most, "template": {"spec": pod}}
    group["replicas"] = draw(st.integers(0, 40) if is_live else st.integers(least, most))
    if is_live:
        for field in draw(st.sets(st.sampled_from(("minReplicas", "maxReplicas", "replicas")))):
            del group[field]
    return group


@st.composite
def named(draw: st.DrawFn, *, is_live: bool) -> list[Document]:
    return [draw(groups(is_live=is_live)) | {"groupName": name} for name in draw(st.permutations(NAMES))]


def cluster_of(live: list[Document]) -> Document:
    return {"metadata": {"generation": 7}, "spec": {"workerGroupSpecs": copy.deepcopy(live)}}


@given(named(is_live=True), named(is_live=False))
def test_the_patch_sets_the_bounds_and_never_ends_a_node(
    live: list[Document], wanted: list[Document]
) -> None:
    by_name = {group["groupName"]: group for group in wanted}
    try:
        result = differences("c", live, wanted)
    except ConfigError as error:
        assert "below the" in str(error)
        assert any(
            by_name[g["groupName"]]["maxReplicas"] < max(g.get("replicas", 0), g.get("minReplicas", 0))
            for g in live
        )
        return
    after = patched(cluster_of(live), patch_of(7, result))["spec"]["workerGroupSpecs"]
    for before, group in zip(live, after, strict=True):
        asked = by_name[group["groupName"]]
        least, most = asked["minReplicas"], asked["maxReplicas"]
        assert (group.get("minReplicas", 0), group["maxReplicas"]) == (least, most)
        assert group.get("replicas", 0) == max(before.get("replicas", 0), least)
        tolerations, own = (each["template"]["spec"].get("tolerations", []) for each in (group, before))
        assert tolerations[: len(own)] == own
        assert all(each in tolerations for each in asked["template"]["spec"].get("tolerations", []))
        assert group["groupName"] == before["groupName"]
    assert not any(group.changes for group in differences("c", after, wanted))


@given(named(is_live=True), named(is_live=False), st.permutations(range(len(NAMES))))
def test_a_patch_for_other_positions_does_not_apply(
    live: list[Document], wanted: list[Document], order: list[int]
) -> None:
    for group in wanted:
        group["maxReplicas"] = 100
    result = differences("c", live, wanted)
    moved = [live[index] for index in order]
    if moved == live:
        patched(cluster_of(moved), patch_of(7, result))
        return
    with pytest.raises(PatchFailed, match="groupName"):
        patched(cluster_of(moved), patch_of(7, result))


def test_a_patch_for_another_generation_does_not_apply() -> None:
    live = [{"groupName": "cpu", "minReplicas": 1, "template": {"spec": {}}}]
    wanted = [{"groupName": "cpu", "minReplicas": 2, "maxReplicas": 9, "template": {"spec": {}}}]
    with pytest.raises(PatchFailed, match="generation"):
        patched(cluster_of(live), patch_of(6, differences("c", live, wanted)))
