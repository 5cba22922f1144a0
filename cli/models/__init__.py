"""``rankway models``: artifacts on disk, imports from Hugging Face, and unit profiles."""

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from cli.errors import exit_on_error
from cli.models.bench import bench
from models.artifact import MANIFEST, Artifact
from models.atomic_directory import is_of_a_writer
from models.extras import require
from services.paths import home_directory

app = typer.Typer(
    help="List, show and import models, and measure pipeline units.",
    no_args_is_help=True,
)
app.command()(bench)


@app.command("import")
def import_folder(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder written by save_pretrained: config.json, model.safetensors, tokenizer.json."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the artifact. An existing one is replaced.")],
    name: Annotated[str, typer.Option(help="Artifact name.")],
    text: Annotated[
        str, typer.Option(help="Item text, as details.<property>: a property of the item's GeoJSON details.")
    ],
    query: Annotated[
        str, typer.Option(help="Feature with the query text, as context.<feature>.")
    ] = "context.query",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=8, help="Maximum tokens in a query-item pair. Default: the model's limit, at most 512."
        ),
    ] = None,
    random_head: Annotated[
        bool,
        typer.Option(
            "--random-head",
            help="Add a random classification head to an encoder without one, for training or for measuring speed.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the random head.")] = 0,
    onnx: Annotated[bool, typer.Option(help="Also write an ONNX graph, which is faster on CPUs.")] = True,
) -> None:
    """Make an artifact from a Hugging Face model for sequence classification.

    The model is a cross-encoder: it scores the query and an item's text together.
    """
    console = Console(stderr=True)
    with exit_on_error(console, OSError):
        require(["tokenizers", "transformers", "torch", "onnx"], "text,train")
        from models.text.hugging_face import (
            load_folder,
            write_text_artifact,
        )  # imported here, because they load torch
        from models.text.tokenizer import TOKENIZER

        loaded = load_folder(
            folder, query=query, text=text, max_length=max_length, random_head=random_head, seed=seed
        )
        lineage = {"folder": str(folder.resolve()), "random": list(loaded.random)}
        artifact = write_text_artifact(
            out, loaded.module, folder / TOKENIZER, name=name, onnx=onnx, lineage=lineage
        )
    if loaded.random:
        console.print(
            f"WARNING: {', '.join(loaded.random)} are RANDOM. Until it is trained, this model ranks at random; use it "
            f"only to measure speed.",
            style="bold red",
            soft_wrap=True,
        )
    pair = artifact.signature.pair
    assert pair is not None
    console.print(
        f"{artifact.name} {artifact.version}: {pair.query} and {pair.text}, at most {pair.max_length} tokens, {out}",
        soft_wrap=True,
        highlight=False,
    )


@app.command("list")
def list_artifacts(
    folder: Annotated[Path | None, typer.Argument(help="Folder to search. Default: the data home.")] = None,
) -> None:
    """List all artifacts below a folder."""
    console = Console()
    root = folder or home_directory()
    table = Table("folder", "name", "version", "files", box=None)
    with exit_on_error(Console(stderr=True), OSError):
        for path in sorted(
            path for path in root.rglob(MANIFEST) if not is_of_a_writer(path.relative_to(root))
        ):
            artifact = Artifact.read(path.parent)
            table.add_row(
                str(path.parent.relative_to(root)), artifact.name, artifact.version, ", ".join(artifact.files)
            )
    console.print(table)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="Artifact folder.")],
) -> None:
    """Check an artifact's files against their sha256. Print its inputs, outputs and lineage as YAML."""
    with exit_on_error(Console(stderr=True), OSError):
        artifact = Artifact.load(folder)
    typer.echo(yaml.safe_dump(artifact.model_dump(mode="json", exclude_none=True), sort_keys=False), nl=False)
