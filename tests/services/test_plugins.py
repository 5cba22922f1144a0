from collections.abc import Callable

import pytest

from autoscale.registries.errors import LoadFailure
from models.errors import ArtifactError
from models.runtimes.base import RuntimeOptions
from models.runtimes.kinds.registry import RUNTIMES
from services.errors import ConfigError, StoreFailed
from services.plugins import opening

OURS, THEIRS = RuntimeOptions(kind="onnx"), RuntimeOptions(kind="acme")


def opened(config: RuntimeOptions, error: Exception) -> Callable[[], None]:
    def run() -> None:
        with opening(RUNTIMES, config, "part"):
            raise error

    return run


@pytest.mark.parametrize("error", [StoreFailed("full"), ArtifactError("damaged")], ids=repr)
@pytest.mark.parametrize("config", [OURS, THEIRS], ids=str)
def test_error_of_our_packages_is_not_changed(config: RuntimeOptions, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        opened(config, error)()


def test_error_of_another_package_becomes_a_config_error_for_the_field() -> None:
    with pytest.raises(ConfigError, match="kind acme cannot be opened: KeyError: 'x'; correct") as refused:
        opened(THEIRS, KeyError("x"))()
    assert refused.value.field == "part"
    with pytest.raises(KeyError):
        opened(OURS, KeyError("x"))()


def test_code_that_cannot_be_loaded_is_a_config_error_for_the_kind() -> None:
    with pytest.raises(ConfigError, match="gone") as refused:
        opened(OURS, LoadFailure("gone"))()
    assert refused.value.field == "part.kind"
