"""A RayService under load for each test, in an emulated API for each module."""

from pathlib import Path

import pytest

from tests.cli.k8s.clusters import ServedObjects, api, serving_objects
from tests.cli.k8s.live import Live

__all__ = ["api", "live"]


@pytest.fixture
def live(api: tuple[ServedObjects, dict[str, str]], tmp_path: Path) -> Live:
    state, environment = api
    state.objects = serving_objects()
    return Live(state.objects, environment, tmp_path)
