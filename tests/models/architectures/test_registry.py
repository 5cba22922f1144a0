import pytest

from models.architectures.base import Architecture
from models.architectures.registry import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES.builtins)
def test_default_name_in_the_options_is_the_registered_name(name: str) -> None:
    architecture = ARCHITECTURES.get(name)
    assert architecture.config.model_fields["name"].default == name
    assert isinstance(architecture.build, type)
    assert issubclass(architecture.build, Architecture)
