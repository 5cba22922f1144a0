import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

import models
import rankway

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/project", str(ROOT), "/site-packages"])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/plugins", str(ROOT), ""]))


def test_packages_of_a_checkout_are_at_its_root() -> None:
    assert rankway.PACKAGES == ROOT
    assert models.__file__ == str(rankway.PACKAGES / "models" / "__init__.py")


def test_packages_come_first_in_this_process_and_in_its_children() -> None:
    rankway.activate()
    assert sys.path == [str(ROOT), "/project", "/site-packages"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/plugins"]
    rankway.activate()
    assert sys.path == [str(ROOT), "/project", "/site-packages"]


def test_reports_imported_package_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("models")
    other.__file__ = "/project/models/__init__.py"
    monkeypatch.setitem(sys.modules, "models", other)
    with pytest.raises(ImportError, match="models was imported from /project/models"):
        rankway.activate()
    assert sys.path[0] == "/project"


def test_reports_imported_namespace_package_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "services", ModuleType("services"))
    with pytest.raises(ImportError, match="services was imported from elsewhere"):
        rankway.activate()
