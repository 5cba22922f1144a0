"""The small pipeline, written once per session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.features.catalogue import Catalogue
from tests.pipelines import make_pipeline
from tests.services.ray_metrics import Exported, exported_metrics


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with the small pipeline's data and models, and its pipeline.yaml."""
    home = tmp_path_factory.mktemp("small")
    make_pipeline(home)
    return home


@pytest.fixture(scope="session")
def catalogue(small_home: Path) -> Catalogue:
    """Return the small pipeline's catalogue."""
    return Catalogue.open(small_home / "catalogue")


@pytest.fixture
def exported() -> Iterator[Exported]:
    """Yield the metrics that code of this process passes to Ray during the test."""
    with exported_metrics() as exported:
        yield exported
