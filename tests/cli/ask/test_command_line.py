import shlex
import sys
from pathlib import Path

import pytest

from cli.ask.command_line import ask_command
from services.config.units import HttpConfig

WRITTEN = HttpConfig()


def test_names_the_address_only_if_it_differs_from_the_file() -> None:
    assert ask_command(Path("shop.yaml"), WRITTEN, WRITTEN) == "rankway ask shop.yaml"
    other = HttpConfig(host="0.0.0.0", port=9000)
    assert (
        ask_command(Path("shop.yaml"), WRITTEN, other) == "rankway ask shop.yaml --host 0.0.0.0 --port 9000"
    )


@pytest.mark.parametrize("environment", [".venv", "a folder/.venv"])
def test_names_the_command_of_the_environment_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / environment / "bin" / "rankway"), "serve"])
    words = shlex.split(ask_command(Path("my shop.yaml"), WRITTEN, WRITTEN))
    assert words == [f"{environment}/bin/rankway", "ask", "my shop.yaml"]


def test_names_a_command_elsewhere_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/env/bin/rankway", "serve"])
    assert ask_command(Path("shop.yaml"), WRITTEN, WRITTEN) == "/opt/env/bin/rankway ask shop.yaml"
