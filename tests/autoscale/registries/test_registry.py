import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from autoscale.registries.errors import LoadFailure, UnknownKind, Untrusted
from autoscale.registries.registry import Registry
from autoscale.registries.trust import trusting
from models.runtimes.base import RuntimeKind, RuntimeOptions
from tests.plugins.packages import install

SOURCE = """
from models.runtimes.base import RuntimeKind, RuntimeOptions
class Options(RuntimeOptions):
    pass
KIND = RuntimeKind(config=Options)
"""


def registry(**builtins: str) -> Registry[Any]:
    return Registry("runtime", builtins, entry=RuntimeKind, options=RuntimeOptions, group="rankway.runtimes")


@pytest.fixture(name="installed")
def _installed(site: Path) -> None:
    install(site, "zeta", {"zeta.py": SOURCE}, {"rankway.runtimes": {"zeta": "zeta:KIND"}})


def test_built_in_kind_is_imported_at_its_first_use() -> None:
    kinds = registry(onnx="models.runtimes.kinds.onnx:RUNTIME", lost="models.runtimes.lost:RUNTIME")
    assert kinds.builtins == ("onnx", "lost")
    assert kinds.get("onnx").suffix == ".onnx"
    with pytest.raises(LoadFailure, match=r"there is no module models\.runtimes\.lost"):
        kinds.get("lost")


def test_error_of_missing_package_names_the_extra(site: Path) -> None:
    (site / "needy.py").write_text("import nothing_of_the_kind")
    kinds: Registry[Any] = Registry(
        "runtime", {"needy": "needy:KIND"}, entry=RuntimeKind, options=RuntimeOptions, extra="sharding"
    )
    with pytest.raises(LoadFailure, match=r"pip install 'rankway\[sharding\]'"):
        kinds.get("needy")


@pytest.mark.usefixtures("installed")
def test_external_kind_is_not_imported_without_trust() -> None:
    kinds = registry()
    assert kinds.plugin_target("zeta") == "zeta:KIND"
    with pytest.raises(Untrusted, match="got 'zeta:KIND'; add zeta to the list trust"):
        kinds.get("zeta")
    assert "zeta" not in sys.modules
    with trusting(["zeta"]):
        config = kinds.get("zeta").config(kind="zeta")
    assert kinds.for_config(config).config is type(config)
    assert kinds.packages_of(config) == ["zeta"]


@pytest.mark.usefixtures("installed")
def test_rejects_options_of_the_wrong_class() -> None:
    with pytest.raises(
        LoadFailure, match="the options of runtime zeta have the wrong class, got RuntimeOptions"
    ):
        registry().for_config(RuntimeOptions(kind="zeta"))


@pytest.mark.usefixtures("installed")
def test_error_of_unknown_kind_lists_the_known_kinds() -> None:
    with pytest.raises(UnknownKind, match="unknown runtime, got 'tvm'; use one of onnx, zeta, or install"):
        registry(onnx="models.runtimes.kinds.onnx:RUNTIME").get("tvm")
    with pytest.raises(UnknownKind, match=r"unknown part, got 'x'; use one of y$"):
        Registry[Any]("part", {"y": "a:b"}, entry=RuntimeKind, options=BaseModel).get("x")
