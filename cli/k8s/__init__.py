"""The group ``rankway k8s``. Each command is a module of this package."""

import typer

from cli.k8s.lint import lint
from cli.k8s.render import render
from cli.k8s.scale import scale

app = typer.Typer(
    help="Render and lint Kubernetes manifests; scale a live cluster.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Render and lint Kubernetes manifests; scale a live cluster."""


app.command("lint")(lint)
app.command("render")(render)
app.command("scale")(scale)
