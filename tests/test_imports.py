"""Imports inside a package lead only to lower floors, and no two folders import each other."""

from pathlib import Path

import pytest

from tests.imports import Graph, files_graph, main, rooms_graph

# From the top down. Rooms on one line may not import each other.
FLOORS = {
    "services": (
        "profiling",
        "deployment",
        "app",
        "units",
        "ingress",
        "releases sharding autoscaling offline",
        "config",
        "logs",
        "scheduling",
        "stages",
        "stores wire",
        "telemetry",
        "plugins",
        "breaker errors locks paths periodic ray_internals",
    ),
    "autoscale": (
        "planner reports tuner",
        "advice simulator",
        "config",
        "policies traces",
        "capacity",
        "spec",
        "profiles",
        "registries",
        "errors pools serving_rules",
    ),
    "walks": (
        "demo ensure",
        "build",
        "data",
        "simulation",
        "routes",
        "map text",
        "world",
        "sources",
        "errors presets",
    ),
}
WITHOUT_CIRCLES = ("autoscale", "benchmarks", "cli", "models", "services", "walks")


@pytest.mark.parametrize("package", FLOORS)
def test_every_folder_imports_only_lower_floors(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms.split()}
    graph = rooms_graph(package)
    assert set(graph.nodes) == set(floor_of), "name every folder and root file on a floor, and no other"
    upward = sorted(
        f"{package}.{importer} imports {package}.{imported}"
        for importer, imported in graph.edges
        if floor_of[imported] <= floor_of[importer]
    )
    assert upward == []


@pytest.mark.parametrize("package", WITHOUT_CIRCLES)
def test_files_and_folders_do_not_import_each_other_in_circles(package: str) -> None:
    # A kind of runtime or store imports its heavy implementation inside a function, when it is first used.
    assert files_graph(package, deferred=False).circles() == []
    assert rooms_graph(package).circles() == []


def test_levels_start_at_nodes_without_imports() -> None:
    graph = Graph(frozenset("abcd"), frozenset({("a", "b"), ("b", "c"), ("a", "c")}))
    assert graph.levels() == {"a": 3, "b": 2, "c": 1, "d": 1}
    assert graph.circles() == []


def test_nodes_of_a_circle_share_one_level_and_are_listed() -> None:
    graph = Graph(frozenset("abcd"), frozenset({("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")}))
    assert graph.levels() == {"a": 3, "b": 2, "c": 2, "d": 1}
    assert graph.circles() == [["b", "c"]]


def test_an_import_inside_a_function_raises_the_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "shop"
    (package / "till").mkdir(parents=True)
    (package / "till" / "count.py").write_text(
        "def count():\n    from shop.money import COIN\n    return COIN\n"
    )
    (package / "money.py").write_text("COIN = 1\n")
    assert files_graph("shop", tmp_path).edges == {("shop.till.count", "shop.money")}
    assert files_graph("shop", tmp_path, deferred=False).edges == frozenset()
    assert rooms_graph("shop", tmp_path).levels() == {"till": 2, "money": 1}
    main(["shop", "--root", str(tmp_path)])
    assert "shop: 2 files, 2 levels, 1 edges, 0 circles; 2 rooms, 2 levels" in capsys.readouterr().out
