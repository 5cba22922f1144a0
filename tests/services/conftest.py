"""The small pipeline, written once a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.features.catalogue import Catalogue
from tests.pipelines import make_pipeline
from tests.services.ray_metrics import Exported, exported_metrics


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the small pipeline's data and models, and its pipeline.yaml."""
    home = tmp_path_factory.mktemp("small")
    make_pipeline(home)
    return home


@pytest.fixture(scope="session")
def catalogue(small_home: Path) -> Catalogue:
    """The small pipeline's catalogue."""
    return Catalogue.open(small_home / "catalogue")


@pytest.fixture
def exported() -> Iterator[Exported]:
    """What code of this process hands to Ray's metrics during the test."""
    with exported_metrics() as exported:
        yield exported
