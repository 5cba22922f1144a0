"""Fixtures: the small catalogue, opened once."""

import pytest
import torch

from models.features.catalogue import Catalogue
from tests.models.worlds import make_catalogue


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return make_catalogue(tmp_path_factory.mktemp("world") / "catalogue")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Use one thread, because small tensors gain nothing from more and tests share their cores."""
    torch.set_num_threads(1)
