import tomllib
from pathlib import Path

import pytest

from models.errors import MissingPackage
from models.extras import require
from models.runtimes import check_runtime
from models.runtimes.kinds.registry import RUNTIMES, runtime_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the set of packages that count as not installed. A test adds to it."""
    names = set[str]()
    monkeypatch.setattr("models.extras.find_spec", lambda name: None if name in names else object())
    return names


def test_error_names_the_missing_packages_and_the_extra(missing: set[str]) -> None:
    require(["torch", "onnx"], "train")
    missing.add("torch")
    with pytest.raises(MissingPackage) as raised:
        require(["torch", "onnx"], "train")
    assert str(raised.value) == "torch is not installed; pip install 'rankway[train]'"
    missing.add("onnx")
    with pytest.raises(MissingPackage, match="torch, onnx are not installed"):
        require(["torch", "onnx"], "train")


def test_onnx_needs_no_extra(missing: set[str]) -> None:
    missing |= {"torch", "accelerate", "deepspeed"}
    check_runtime(runtime_config(kind="onnx"))
    with pytest.raises(MissingPackage, match=r"torch is .*rankway\[torch\]"):
        check_runtime(runtime_config(kind="torch"))


@pytest.mark.parametrize("kind", ["torch", "accelerate", "deepspeed", "openvino", "lightgbm", "xgboost"])
def test_extra_of_a_runtime_installs_its_packages(kind: str) -> None:
    assert runtime_config(kind=kind).kind == kind
    packages, extra = RUNTIMES.get(kind).packages, RUNTIMES.get(kind).extra
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {
        requirement.split(">")[0].split("=")[0].removesuffix("-cpu")
        for requirement in project["optional-dependencies"][extra]
    }
    assert set(packages) <= installed
    assert not any(requirement.startswith("torch") for requirement in project["dependencies"])
