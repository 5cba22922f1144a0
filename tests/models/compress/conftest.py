"""Fixtures: a home with a small ranker, and the step of tests."""

import shutil
from pathlib import Path

import pytest

from tests.models.compress.homes import install_noise, write_home


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_home(tmp_path_factory.mktemp("compress"))


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """Return a copy of the home that a test may change."""
    return shutil.copytree(made_home, tmp_path / "home")


@pytest.fixture
def noise(site: Path) -> None:
    install_noise(site)
