import math

import pytest

from autoscale.registries.errors import LoadFailure
from autoscale.registries.targets import load_target


def test_loads_an_attribute_of_a_module() -> None:
    assert load_target("math:pi") == math.pi
    assert load_target("pathlib:Path.home").__name__ == "home"


@pytest.mark.parametrize(
    "target", ["", "math", "math:", ":pi", "math:pi:pi", "math pi", "../math:pi", "math:pi\n"]
)
def test_rejects_malformed_target(target: str) -> None:
    with pytest.raises(
        LoadFailure, match=r"expected a target of the form package\.module:attribute, got .*; correct"
    ):
        load_target(target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "no_such:x",
            "there is no module no_such, got 'no_such:x'; install the package, or correct the name",
        ),
        ("json.no_such:x", "there is no module json.no_such, got 'json.no_such:x'"),
        ("math:tau.none", "the module math has no tau.none, got 'math:tau.none'; name an attribute"),
    ],
)
def test_error_names_missing_module_or_attribute(target: str, message: str) -> None:
    with pytest.raises(LoadFailure, match=message):
        load_target(target)
