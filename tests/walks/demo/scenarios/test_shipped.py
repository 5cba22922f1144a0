"""The world that ships works with the present code. If not, `make demo-world` writes it again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.features.catalogue import Catalogue
from services.app import StandaloneApp
from services.config.loading import load_config
from services.deployment.check import Preflight
from services.stages.features import load_definitions
from tests.services.servers import ask, http_request, http_server, rank_request
from tests.walks.demo.scenarios.pages import PAGES, ROOT, example_of
from walks.data.features import FEATURES
from walks.demo.archive import ARCHIVE
from walks.demo.pack import USERS
from walks.demo.unpack import unpack_demo
from walks.world import World, read_manifest

CONFIG = ROOT / "configs" / "demo.yaml"
REMEDY = "run `make demo-world`; walks/demo/README.md describes it"
MOST_BYTES = 5 << 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    unpack_demo(home)
    return home


@pytest.fixture(scope="module")
def world(home: Path) -> World:
    return World(home / "walks" / "demo")


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    with http_server(StandaloneApp(CONFIG, home)) as port:
        yield port


def test_the_pipeline_passes_the_check_and_its_models_run(home: Path) -> None:
    preflight = Preflight(load_config(CONFIG), home)
    assert preflight.faults(opens="all") == [], REMEDY
    assert preflight.notes == []


def test_its_features_are_those_of_the_present_code(world: World) -> None:
    assert load_definitions(world.definitions).content_hash == FEATURES.content_hash, REMEDY


def test_it_is_small() -> None:
    assert ARCHIVE.stat().st_size < MOST_BYTES


def test_every_route_and_the_manifest_have_the_attribution_of_the_map(world: World) -> None:
    catalogue = Catalogue.open(world.catalogue)
    for row in range(len(catalogue)):
        assert (
            "OpenStreetMap contributors, ODbL"
            in json.loads(catalogue.details(row))["properties"]["attribution"]
        )
    manifest = read_manifest(world)
    assert manifest is not None
    assert "OpenStreetMap contributors, ODbL" in manifest["map"]["attribution"]


@pytest.mark.parametrize("page", PAGES)
def test_the_documentation_shows_its_answers(port: int, page: str) -> None:
    example = example_of(page)
    reply = ask(port, rank_request({**example.request, "deadline_ms": 5_000}))
    assert reply.status == 200, reply.body
    answer = reply.json
    example.compare(answer)
    item = answer["items"][0]["id"]
    assert ask(port, http_request("GET", f"/v1/items/{item}")).status == 200
    assert f"/v1/items/{item}" in (ROOT / page).read_text() or page == "docs/index.md"


@pytest.mark.parametrize("user", [1, 2, USERS])
def test_users_get_lists_of_their_own(port: int, user: int) -> None:
    document = {"user_id": f"u-{user:06d}", "context": {"minutes": 60}, "deadline_ms": 5_000}
    answers = [
        ask(port, rank_request({**document, **other})).json for other in ({}, {"user_id": "nobody-yet"})
    ]
    assert [answer.get("unknown_user", False) for answer in answers] == [False, True]
    own, default = ([item["id"] for item in answer["items"]] for answer in answers)
    assert own != default
