"""Test files lie next to the module that they are named after, or in a folder named ``scenarios``."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("autoscale", "benchmarks", "cli", "models", "services", "walks")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_test_file_is_named_after_its_module_or_is_a_scenario(package: str) -> None:
    misplaced = [
        str(test.relative_to(ROOT))
        for test in sorted((ROOT / "tests" / package).rglob("test_*.py"))
        if "scenarios" not in test.parts and not _module_of(test)
    ]
    assert misplaced == [], (
        "name it after a module in the folder of the same name, or move it into scenarios/"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_modules_has_tests(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"}
    untested = [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not _tests_of(folder)]
    assert untested == []


def _tests_of(folder: Path) -> list[Path]:
    mirrored = ROOT / "tests" / folder.relative_to(ROOT)
    return [*mirrored.rglob("test_*.py"), *mirrored.parent.glob(f"test_{folder.name}.py")]


def _module_of(test: Path) -> bool:
    mirrored = ROOT / test.parent.relative_to(ROOT / "tests") / test.name.removeprefix("test_")
    return mirrored.is_file() or mirrored.with_suffix("").is_dir()
