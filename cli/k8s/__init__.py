"""The group ``rankway k8s``: a command's module is a sibling."""

import typer

from cli.k8s.lint import lint
from cli.k8s.render import render

app = typer.Typer(
    help="Kubernetes: a pipeline as a RayService for KubeRay, and what a build of it has to keep.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Kubernetes: a pipeline as a RayService for KubeRay, and what a build of it has to keep."""


app.command("lint")(lint)
app.command("render")(render)
