"""A RayService under load for each test, in an emulated API for each module."""

from pathlib import Path

import pytest

from tests.cli.k8s.clusters import Served, api, serving_objects
from tests.cli.k8s.live import Live

__all__ = ["api", "live"]


@pytest.fixture
def live(api: tuple[Served, dict[str, str]], tmp_path: Path) -> Live:
    held, environment = api
    held.objects = serving_objects()
    return Live(held.objects, environment, tmp_path)
