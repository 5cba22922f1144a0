"""The root command lists every command, and imports only the one that is called."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.main import COMMANDS, Command, root

CLI = Path(__file__).resolve().parent.parent.parent / "cli"


def test_help_lists_every_command_with_its_summary_in_its_group_on_a_narrow_terminal() -> None:
    shown = CliRunner().invoke(root(["--help"]), ["--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40, "readable at a glance"
    headings = [re.match(r"\W+([A-Z][a-z ]+?) \W*$", line) for line in lines]
    panel, listed = "", dict[str, tuple[str, str]]()
    for line, heading in zip(lines, headings, strict=True):
        panel = heading[1] if heading else panel
        entry = re.match(r"\W+([a-z0-9]+) +(.*?)\W*$", line)
        if entry:
            listed[entry[1]] = panel, entry[2]
    for command in COMMANDS:
        assert listed[command.name] == (command.panel, command.summary.removesuffix("."))


def test_help_imports_no_heavy_package() -> None:
    program = (
        "import sys; from cli.main import root; from typer.testing import CliRunner\n"
        "CliRunner().invoke(root(['--help']), ['--help'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'numpy', 'ray', 'scipy', 'torch', 'yaml'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=CLI.parent,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_summary_is_the_first_line_of_the_commands_help(command: Command) -> None:
    loaded = command.load()
    own = loaded.info.help if isinstance(loaded, typer.Typer) else inspect.getdoc(loaded)
    assert isinstance(own, str)
    assert own.startswith(command.summary.removesuffix("."))


def test_every_module_of_the_package_is_mounted() -> None:
    packages = {path.parent.name for path in CLI.glob("*/__init__.py")}
    helpers = {"__init__", "main", "address", "errors", "own_log", "progress"}
    modules = packages | {path.stem for path in CLI.glob("*.py")} - helpers
    assert modules == {command.target.partition(":")[0].removeprefix("cli.") for command in COMMANDS}


def test_an_unknown_command_fails_and_suggests_the_nearest() -> None:
    shown = CliRunner().invoke(root(["sreve"]), ["sreve"])
    assert shown.exit_code == 2
    assert "serve" in shown.output


def test_the_called_command_takes_its_own_options(tmp_path: Path) -> None:
    arguments = ["check", "--json", str(tmp_path / "absent.yaml")]
    shown = CliRunner().invoke(root(arguments), arguments)
    assert shown.exit_code == 2
    assert "cannot be read" in shown.stdout


def test_ctrl_c_while_a_command_is_imported_prints_no_traceback() -> None:
    program = (
        "import sys; from cli import main\n"
        "def interrupted(*_): raise KeyboardInterrupt\n"
        "main.import_module, sys.argv = interrupted, ['rankway', 'check', 'x.yaml']\n"
        "main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CLI.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
