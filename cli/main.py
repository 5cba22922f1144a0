"""The root of the ``rankway`` command.

``rankway --help`` must not wait for Ray or torch. So the root lists each command by name and summary, and
imports a command's module only when that command is called.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

from models.no_telemetry import forbid_telemetry

_STOPPED = 130  # the status that a shell reports for a command ended by Ctrl-C
_SERVE, _DATA, _SCALING = "Serve", "Models and data", "Autoscaling"
_KUBERNETES, _EXAMPLE = "Kubernetes", "The example"


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group of commands.

    Attributes:
        target: ``module:attribute``, where the attribute is a function or a ``typer.Typer``.
        panel: the heading in ``rankway --help`` under which the command is listed.
        summary: the command's line in ``rankway --help``, at most 64 characters.
    """

    name: str
    target: str
    panel: str
    summary: str

    def load(self) -> object:
        """Import the module and return the function or the group."""
        module, _, attribute = self.target.partition(":")
        loaded: object = getattr(import_module(module), attribute)
        return loaded


COMMANDS = (
    Command(
        "check", "cli.check:check", _SERVE, "Check a pipeline's YAML, its data, its models and runtimes."
    ),
    Command("serve", "cli.serve:serve", _SERVE, "Serve a pipeline over HTTP until Ctrl-C or SIGTERM."),
    Command("ask", "cli.ask:ask", _SERVE, "Ask a running service for a ranking, and print it."),
    Command(
        "release", "cli.release:app", _SERVE, "Switch models, catalogue and features together, under load."
    ),
    Command("log", "cli.log:app", _SERVE, "Compare logged features with values computed again."),
    Command("new", "cli.new:new", _DATA, "Write a pipeline for your own events."),
    Command(
        "build", "cli.build:build", _DATA, "Build a pipeline's catalogue, features and lists from events."
    ),
    Command("train", "cli.train:train", _DATA, "Train a pipeline's models. An interrupted run resumes."),
    Command(
        "catalogue",
        "cli.catalogue:app",
        _DATA,
        "Build a catalogue; add and remove items while it is served.",
    ),
    Command(
        "models",
        "cli.models:app",
        _DATA,
        "List, show, import, compile and compress models; measure units.",
    ),
    Command(
        "features",
        "cli.features:app",
        _DATA,
        "Load user features; set live item features; export data.",
    ),
    Command("convert", "cli.convert:app", _DATA, "Draft a pipeline from Metarank, Triton or Vespa files."),
    Command(
        "autoscale",
        "cli.autoscale:app",
        _SCALING,
        "Record, simulate and replay traffic; tune and plan capacity.",
    ),
    Command("k8s", "cli.k8s:app", _KUBERNETES, "Render and lint Kubernetes manifests; scale a live cluster."),
    Command("walks", "cli.walks:app", _EXAMPLE, "Build and explore the example: walking routes in Helsinki."),
)


def main() -> None:
    """Run the command line."""
    forbid_telemetry()
    try:
        root(sys.argv[1:])()
    except KeyboardInterrupt:  # Ctrl-C while a command's modules are imported
        sys.exit(_STOPPED)


def root(arguments: Sequence[str]) -> typer.Typer:
    """Return the application for these arguments.

    Only the command that the arguments call is imported. The others are listed with their summaries.
    """
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(
        name="rankway",
        help="Rankway serves multi-stage ranking pipelines on Ray Serve.",
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
    assert callable(loaded), f"{command.target}: must be a function or a typer.Typer"
    app.command(command.name, rich_help_panel=command.panel)(loaded)


def _not_called() -> None:
    """Stand in for a command that the arguments do not call."""


if __name__ == "__main__":
    main()
