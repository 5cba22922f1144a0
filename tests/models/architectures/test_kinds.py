"""The descriptors of the architectures, one file each."""

from pathlib import Path

from models.architectures import kinds
from models.architectures.registry import ARCHITECTURES


def test_every_descriptor_is_registered() -> None:
    files = {path.stem for path in Path(kinds.__path__[0]).glob("*.py")} - {"__init__"}
    registered = {
        part
        for name in ARCHITECTURES.builtins
        for part in ARCHITECTURES.get(name).build.__module__.split(".")
    }
    assert files <= registered
