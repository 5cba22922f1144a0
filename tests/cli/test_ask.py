"""``rankway ask`` against a service in this process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import root
from services.app import StandaloneApp
from tests.pipelines import make_pipeline
from tests.services.processes import free_port
from tests.services.servers import http_server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("asked")
    make_pipeline(home)
    return home


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    # The service has a home of its own, because one process cannot open a feature store twice.
    served = tmp_path_factory.mktemp("served")
    with http_server(StandaloneApp(make_pipeline(served), served)) as port:
        yield port


def asked(home: Path, port: int, *options: str) -> Result:
    arguments = ["ask", str(home / "pipeline.yaml"), "--port", str(port), *options]
    return CliRunner().invoke(root(arguments), arguments, env={"RANKWAY_HOME": str(home)})


def rows(shown: Result) -> list[list[str]]:
    """Return the words of each row of the table."""
    assert shown.exit_code == 0, shown.output
    words = [line.split() for line in shown.stdout.splitlines()]
    return [each for each in words if each and each[0].isdigit() and len(each) == 3]


def test_without_options_it_asks_for_the_example_of_serve(home: Path, port: int) -> None:
    shown = asked(home, port)
    assert [row[0] for row in rows(shown)] == ["1", "2", "3"]
    assert all(row[1].startswith("item-") for row in rows(shown))
    assert "ms in the service: queue" in shown.stdout
    assert shown.stderr == ""


def test_options_change_user_context_and_length(home: Path, port: int) -> None:
    options = ("--user", "u3", "--context", "position=0.5,0.25", "--context", "shift=7", "-k", "5", "--json")
    shown = asked(home, port, *options)
    answer = json.loads(shown.stdout)
    assert len(answer["items"]) == 5
    for item in answer["items"]:  # see tests/pipelines.py
        assert item["score"] == int(item["id"].removeprefix("item-")) + 4000 + 7


def test_an_unknown_user_is_a_warning(home: Path, port: int) -> None:
    shown = asked(home, port, "--user", "nobody")
    assert len(rows(shown)) == 3
    assert "warning: user_id: not in the feature store, got nobody" in shown.stderr


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--context", "colour=1"], 2, "error: context.colour: not a context feature"),
        (["--context", "shift=red"], 2, "error: context.shift"),
        (["--context", "shift"], 2, "error: --context: must be NAME=VALUE, got 'shift'"),
        (["-k", "0"], 2, "error: k: "),
        (["--user", ""], 2, "error: user_id: "),
        (["--port", "70000"], 2, "error: command line: http.port: "),
    ],
)
def test_a_wrong_option_is_reported_with_its_name(
    home: Path, port: int, options: list[str], status: int, message: str
) -> None:
    shown = asked(home, port, *options)
    assert shown.exit_code == status
    assert shown.stderr.startswith(message)
    assert shown.stdout == ""


def test_without_a_service_it_names_the_command_that_starts_one(home: Path) -> None:
    shown = asked(home, free_port())
    assert shown.exit_code == 1
    assert "no service answers at http://127.0.0.1:" in shown.stderr
    assert f"start it with `rankway serve {home / 'pipeline.yaml'}`" in shown.stderr


def test_a_service_can_be_asked_without_its_data_on_this_machine(
    home: Path, port: int, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.yaml").write_text((home / "pipeline.yaml").read_text())
    shown = asked(tmp_path, port, "--context", "position=0.5,0.5")
    assert len(rows(shown)) == 3
    assert "got anyone" in shown.stderr
