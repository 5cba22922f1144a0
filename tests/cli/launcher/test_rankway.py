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


def test_the_packages_of_a_checkout_lie_at_its_root() -> None:
    assert rankway.PACKAGES == ROOT
    assert models.__file__ == str(rankway.PACKAGES / "models" / "__init__.py")


def test_the_packages_come_first_in_this_process_and_in_those_that_it_starts() -> None:
    rankway.activate()
    assert sys.path == [str(ROOT), "/project", "/site-packages"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/plugins"]
    rankway.activate()
    assert sys.path == [str(ROOT), "/project", "/site-packages"]


def test_a_package_that_took_a_name_before_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("models")
    other.__file__ = "/project/models/__init__.py"
    monkeypatch.setitem(sys.modules, "models", other)
    with pytest.raises(ImportError, match="models was imported from /project/models"):
        rankway.activate()
    assert sys.path[0] == "/project"


def test_a_namespace_package_that_took_a_name_before_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "services", ModuleType("services"))
    with pytest.raises(ImportError, match="services was imported from elsewhere"):
        rankway.activate()
