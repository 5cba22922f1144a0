"""Rules for the whole repository."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.compress.recipe import load_recipe
from services.config.loading import load_config
from tests.imports import imported_modules

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("autoscale", "benchmarks", "cli", "models", "services", "tests", "walks")
MAY_IMPORT = {
    "autoscale": set[str](),
    "models": {"autoscale"},
    "services": {"autoscale", "models"},
    "walks": {"autoscale", "models", "services"},
    "cli": {"autoscale", "models", "services", "walks"},
    "benchmarks": {"autoscale", "cli", "models", "services", "walks"},
}
RECIPES = sorted((ROOT / "configs" / "compress").glob("*.yaml"))
CONFIGS = sorted(set((ROOT / "configs").glob("**/*.yaml")) - set(RECIPES))


def imported_packages(source: Path) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of every import in a file, including those inside functions."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.lineno, node.module.partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_down_only(package: str) -> None:
    forbidden = set(PACKAGES) - MAY_IMPORT[package] - {package}
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    upward = [
        f"{source.relative_to(ROOT)}:{line} imports {name}"
        for source in sources
        for line, name in imported_packages(source)
        if name in forbidden
    ]
    assert upward == []


def test_models_import_only_the_registries_of_autoscale() -> None:
    imported = {
        name
        for source in (ROOT / "models").rglob("*.py")
        for name in imported_modules(source)
        if name.partition(".")[0] == "autoscale"
    }
    assert imported
    assert {name for name in imported if not name.startswith("autoscale.registries")} == set()


def test_no_import_is_relative() -> None:
    relative = [
        f"{source.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for source in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_packages_import_from_the_repository_when_started_elsewhere(tmp_path: Path) -> None:
    # Another project's top-level `models` or `services` would otherwise take precedence over the editable install.
    installed = [package for package in PACKAGES if package != "tests"]
    program = f"import importlib\nfor name in {installed}: print(importlib.import_module(name).__file__)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines() == [str(ROOT / package / "__init__.py") for package in installed]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_config_loads(path: Path) -> None:
    assert load_config(path).name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_shipped_recipe_loads_and_names_a_model_of_its_pipeline(path: Path) -> None:
    recipe = load_recipe(path)
    pipeline = load_config(ROOT / recipe.pipeline)
    assert recipe.model in pipeline.models
    assert recipe.lists is not None or pipeline.training is not None
    assert recipe.ordered()


def test_at_least_one_config_and_one_recipe_are_shipped() -> None:
    assert CONFIGS
    assert RECIPES


def pinned_versions() -> dict[str, str]:
    """Return the versions in constraints.txt by normalised name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins)
    return {normalised(name): version for name, version in pins}


def normalised(requirement: str) -> str:
    """Return a requirement's name as in PEP 503, without extras and versions."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_for_all_platforms() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    pins = pinned_versions()
    assert [d for d in declared if normalised(d) not in pins] == []
    assert [name for name, version in pins.items() if "+" in version] == []
    assert (pins["torch"], pins["ray"]) == ("2.13.0", "2.60.0")


def test_wheel_contains_every_package_in_its_private_folder() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(PACKAGES)
    private = packages - {"benchmarks", "tests"} | {"configs"}
    assert set(wheel["only-include"]) == private
    assert wheel["sources"] == {folder: f"rankway/site-packages/{folder}" for folder in private}


def test_data_wheels_are_pinned() -> None:
    lines = (ROOT / "requirements-data.txt").read_text().splitlines()
    requirements = [line.partition("#")[0].strip() for line in lines]
    assert [line for line in requirements if line and not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line)] == []


def test_the_workflow_runs_every_check() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert [target for target in ("lint", "test", "test-slow") if f"\nrun {target} " not in script] == []
