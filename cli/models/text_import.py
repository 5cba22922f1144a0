"""Import a cross-encoder from a Hugging Face folder."""

from pathlib import Path

from rich.console import Console

from cli.models.import_target import Place, named, say
from models.errors import ArtifactError
from models.extras import require
from services.errors import ConfigError


def import_text(
    source: Path,
    place: Place,
    text: str | None,
    query: str,
    max_length: int | None,
    random_head: bool,
    seed: int,
    onnx: bool,
    console: Console,
) -> None:
    """Write the artifact.

    Raises:
        ConfigError: the item text is not named.
        ModelError: the folder cannot be imported.
    """
    if text is None:
        raise ConfigError(
            "missing; name the item text that the model reads, such as --text details.summary",
            field="--text",
        )
    require(["tokenizers", "transformers", "torch", "onnx"], "text,train")
    from models.text.hugging_face import load_folder, write_text_artifact  # imported here, they load torch
    from models.text.tokenizer import TOKENIZER

    loaded = load_folder(
        source, query=query, text=text, max_length=max_length, random_head=random_head, seed=seed
    )
    lineage = {"folder": str(source.resolve()), "random": list(loaded.random)}
    artifact = write_text_artifact(
        place.root, loaded.module, source / TOKENIZER, name=place.name, onnx=onnx, lineage=lineage
    )
    if loaded.random:
        console.print(
            f"WARNING: {', '.join(loaded.random)} are RANDOM. Until it is trained, this model ranks at random; use it "
            f"only to measure speed.",
            style="bold red",
            soft_wrap=True,
        )
    pair = artifact.signature.pair
    if pair is None:
        raise ArtifactError(f"{source}: expected a model of text pairs; use a cross-encoder")
    say(
        console,
        f"{named(artifact)}: {pair.query} and {pair.text}, at most {pair.max_length} tokens, {place.root}",
    )
