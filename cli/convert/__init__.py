"""``rankway convert``: drafts of pipelines from the configurations of other systems."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.convert.documents import DECIDE, definitions_text, pipeline_text
from cli.convert.draft import Draft
from cli.convert.files import written_together
from cli.convert.report import as_json, counts, show
from cli.errors import exit_on_error
from services.errors import ConfigError

app = typer.Typer(help="Draft a pipeline from Metarank, Triton or Vespa files.", no_args_is_help=True)
Out = Annotated[Path, typer.Option(help="Pipeline YAML to write. The definitions go beside it.")]
Name = Annotated[str, typer.Option(help="Name of the pipeline. Default: that of the file --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]


@app.command()
def metarank(
    source: Annotated[Path, typer.Argument(help="Metarank's config.yml.")],
    out: Out,
    model: Annotated[
        str | None, typer.Option(help="Model to serve. Default: the only one of type lambdamart.")
    ] = None,
    name: Name = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert a Metarank configuration: features, a model, its store and API."""
    from cli.convert.metarank.config import read_metarank

    _convert(
        lambda: read_metarank(source, name=name or out.stem, model=model), source, out, overwrite, as_json
    )


@app.command()
def triton(
    source: Annotated[Path, typer.Argument(help="Triton's model repository.")],
    out: Out,
    model: Annotated[
        str | None, typer.Option(help="Ensemble or model to serve. Default: the only ensemble.")
    ] = None,
    name: Name = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert a Triton ensemble: its steps, tensors, batching and instances."""
    from cli.convert.triton.repository import read_triton

    _convert(lambda: read_triton(source, name=name or out.stem, model=model), source, out, overwrite, as_json)


@app.command()
def vespa(
    source: Annotated[Path, typer.Argument(help="Schema file (.sd), or folder of an application.")],
    out: Out,
    profile: Annotated[str | None, typer.Option(help="Rank profile. Default: the only one.")] = None,
    name: Name = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert a Vespa rank profile: its phases, models, attributes and query inputs."""
    from cli.convert.vespa.application import read_vespa

    _convert(
        lambda: read_vespa(source, name=name or out.stem, profile=profile), source, out, overwrite, as_json
    )


def _convert(read: Callable[[], Draft], source: Path, out: Path, overwrite: bool, as_json_: bool) -> None:
    console = Console(stderr=True)
    with exit_on_error(console):
        if out.suffix not in {".yaml", ".yml"}:
            raise ConfigError(f"--out: must end in .yaml, got {out}; name the pipeline's file")
        definitions = out.with_name(f"{out.stem}-features.yaml")
        draft = read()
        texts = {
            out: pipeline_text(draft, definitions.name, str(source)),
            definitions: definitions_text(draft, str(source)),
        }
        written_together(texts, overwrite=overwrite)
    if as_json_:
        files = {"pipeline": str(out), "definitions": str(definitions)}
        typer.echo(json.dumps(as_json(draft, files), indent=2))
        return
    show(draft)
    number = counts(draft)
    console.print(
        f"wrote {out} and {definitions}: {number['mapped']} settings are mapped, {number['decide']} need your "
        f"decision, {number['none']} have no counterpart. Complete the lines with '{DECIDE.strip()}' in both files",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
