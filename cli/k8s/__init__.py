"""The group ``rankway k8s``: a command's module is a sibling."""

import typer

from cli.k8s.lint import lint
from cli.k8s.render import render
from cli.k8s.scale import scale

app = typer.Typer(
    help="Kubernetes: a pipeline as a RayService, checks of a build, the scale of a running cluster.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Kubernetes: a pipeline as a RayService, checks of a build, the scale of a running cluster."""


app.command("lint")(lint)
app.command("render")(render)
app.command("scale")(scale)
