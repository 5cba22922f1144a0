"""The root of ``rankway``. A command's module is imported only when that command is called.

``rankway --help`` must not wait for Ray or torch, so the root knows each command by name and summary.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

from models.no_telemetry import forbid_telemetry


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a group of them: ``target`` is ``module:attribute``, a function or a ``typer.Typer``."""

    name: str
    target: str
    summary: str

    def load(self) -> object:
        """Import the module; give the function or the group."""
        module, _, attribute = self.target.partition(":")
        found: object = getattr(import_module(module), attribute)
        return found


COMMANDS = (
    Command(
        "check", "cli.check:check", "Validate pipelines: unknown keys, ranges, missing or unfit artifacts."
    ),
    Command("serve", "cli.serve:serve", "Serve a pipeline over HTTP until Ctrl-C or SIGTERM."),
    Command("walks", "cli.walks:app", "The walks application: its world, its routes on the map, its events."),
    Command("log", "cli.log:app", "The served log: how far its features are from what they would be now."),
    Command("features", "cli.features:app", "Stored features: load users' rows, set live features of items."),
    Command(
        "models",
        "cli.models:app",
        "Models: artifacts, Hugging Face models as artifacts, profiles of units.",
    ),
    Command(
        "release", "cli.release:app", "Releases: model, catalogue and features together, swapped under load."
    ),
    Command(
        "autoscale",
        "cli.autoscale:app",
        "The autoscaling lab: traces, simulation, tuning, planning, replay.",
    ),
    Command(
        "k8s",
        "cli.k8s:app",
        "Kubernetes: a pipeline as a RayService, checks of a build, the scale of a running cluster.",
    ),
    Command(
        "train",
        "cli.train:train",
        "Train a pipeline's models; what is unchanged is left as it is, and what was cut off goes on where it was.",
    ),
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
            app.command(command.name, help=command.summary)(_not_called)
    return app


def _mount(app: typer.Typer, command: Command) -> None:
    loaded = command.load()
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=command.name)
        return
    assert callable(loaded), f"{command.target} is neither a function nor a typer.Typer"
    app.command(command.name)(loaded)


def _not_called() -> None:
    """Stand in for a command that the arguments do not call."""


if __name__ == "__main__":
    main()
