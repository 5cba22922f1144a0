"""Fixtures: parents that steps only read, each written once."""

from collections.abc import Callable
from functools import cache

import pytest

from models.compress.steps.base import Model
from tests.models.compress.works import make_parent
from tests.models.runtimes.shapes import ARCHITECTURES


@pytest.fixture(scope="session")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Return a function that returns the artifact of a small module, by the name of its architecture."""
    root = tmp_path_factory.mktemp("parents")
    return cache(lambda name: make_parent(root / name, ARCHITECTURES[name]()))
