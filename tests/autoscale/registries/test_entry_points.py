from pathlib import Path

import pytest

from autoscale.registries.entry_points import declared_names, declared_target
from autoscale.registries.errors import LoadFailure
from tests.plugins.packages import install

GROUP = "rankway.runtimes"


def test_lists_names_of_installed_packages(site: Path) -> None:
    assert declared_names(GROUP) == []
    install(site, "zeta", {}, {GROUP: {"b": "zeta:B", "a": "zeta:A"}, "rankway.stores": {"c": "zeta:C"}})
    assert declared_names(GROUP) == ["a", "b"]
    assert declared_target(GROUP, "a") == "zeta:A"
    assert declared_target(GROUP, "c") is None


def test_rejects_name_that_two_packages_declare(site: Path) -> None:
    install(site, "zeta", {}, {GROUP: {"a": "zeta:A"}})
    install(site, "eta", {}, {GROUP: {"a": "eta:A"}})
    with pytest.raises(LoadFailure, match="several installed packages") as refused:
        declared_target(GROUP, "a")
    assert "zeta:A of zeta" in str(refused.value)
    assert "eta:A of eta" in str(refused.value)


@pytest.mark.parametrize("value", ["zeta", "zeta:", "ze ta:A"])
def test_rejects_entry_point_without_an_attribute(site: Path, value: str) -> None:
    install(site, "zeta", {}, {GROUP: {"a": value}})
    with pytest.raises(
        LoadFailure, match=r"the package's entry point must have the form package\.module:attribute, got"
    ):
        declared_target(GROUP, "a")
