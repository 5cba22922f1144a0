"""The root of ``rankway``. A command's module is imported only when that command is called.

``rankway --help`` must not wait for Ray or torch, so the root knows each command by name and summary.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

from models.no_telemetry import forbid_telemetry

_SERVE, _DATA, _SCALING = "Serve", "Models and data", "Autoscaling"
_KUBERNETES, _EXAMPLE = "Kubernetes", "The example"


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a group of them: ``target`` is ``module:attribute``, a function or a ``typer.Typer``.

    panel: the group of ``rankway --help`` that lists it. summary: one line of that, 64 characters at most.
    """

    name: str
    target: str
    panel: str
    summary: str

    def load(self) -> object:
        """Import the module; return the function or the group."""
        module, _, attribute = self.target.partition(":")
        loaded: object = getattr(import_module(module), attribute)
        return loaded


COMMANDS = (
    Command("check", "cli.check:check", _SERVE, "Check pipelines: keys, ranges, artifacts, runtimes."),
    Command("serve", "cli.serve:serve", _SERVE, "Serve a pipeline over HTTP until Ctrl-C or SIGTERM."),
    Command("release", "cli.release:app", _SERVE, "Swap model, catalogue and features together, under load."),
    Command("log", "cli.log:app", _SERVE, "Compare the served log's features with their values now."),
    Command("train", "cli.train:train", _DATA, "Train a pipeline's models; go on where it was cut off."),
    Command("models", "cli.models:app", _DATA, "Artifacts, imports from Hugging Face, profiles of units."),
    Command("features", "cli.features:app", _DATA, "Load users' features; set live features of items."),
    Command("autoscale", "cli.autoscale:app", _SCALING, "Record, simulate, tune, plan and replay traffic."),
    Command("k8s", "cli.k8s:app", _KUBERNETES, "Render a RayService, lint a build, scale a live cluster."),
    Command("walks", "cli.walks:app", _EXAMPLE, "Walking routes in Helsinki: their world, map and events."),
)


def main() -> None:
    """Run the command line."""
    forbid_telemetry()
    root(sys.argv[1:])()


def root(arguments: Sequence[str]) -> typer.Typer:
    """Give the application for these arguments: the command they call is whole, the others are a line of help."""
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(
        name="rankway",
        help="Rankway: multi-stage ranking on Ray Serve.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in COMMANDS:
        if command.name == called:
            _mount(app, command)
        else:
            app.command(command.name, help=command.summary, rich_help_panel=command.panel)(_not_called)
    return app


def _mount(app: typer.Typer, command: Command) -> None:
    loaded = command.load()
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=command.name, rich_help_panel=command.panel)
        return
    assert callable(loaded), f"{command.target} is neither a function nor a typer.Typer"
    app.command(command.name, rich_help_panel=command.panel)(loaded)


def _not_called() -> None:
    """Stand in for a command that the arguments do not call."""


if __name__ == "__main__":
    main()
