"""An emulated API for the module, and a RayService under load for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.k8s.clusters import Served, served, serving_objects
from tests.cli.k8s.live import Live
from tests.services.stores.certificates import write_certificates


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("api")
    write_certificates(folder)
    held = Served(serving_objects())
    with served(held, folder) as environment:
        yield held, environment


@pytest.fixture
def live(api: tuple[Served, dict[str, str]], tmp_path: Path) -> Live:
    held, environment = api
    held.objects = serving_objects()
    return Live(held.objects, environment, tmp_path)
