"""Read and check configuration and tokenizer in a Hugging Face folder."""

import json
from pathlib import Path
from typing import Any

from models.errors import ArtifactError
from models.text.tokenizer import TOKENIZER, PairTokenizer

_CONFIG = "config.json"
_DROPPED = {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}


def config_of(folder: Path) -> dict[str, Any]:
    """Return the fields in config.json that define the model.

    Raises:
        ArtifactError: the file is missing or cannot be read, or the model comes with its own code.
    """
    path = folder / _CONFIG
    if not path.is_file():
        raise ArtifactError(
            f"no Hugging Face model at {folder}: {_CONFIG} is missing; name a folder that save_pretrained wrote"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read: {error}; copy this file again") from error
    if not isinstance(config, dict) or "auto_map" in config:
        raise ArtifactError(
            f"{path}: expected a JSON object without auto_map; code that comes with a model is never run, so use "
            f"another model"
        )
    return {name: value for name, value in config.items() if name not in _DROPPED}


def checked_tokenizer(folder: Path, config: dict[str, Any]) -> PairTokenizer:
    """Return the folder's tokenizer.

    Raises:
        ArtifactError: the tokenizer is missing, its configuration cannot be read, or it truncates texts on the left.
        RuntimeFailure: the tokenizer cannot be used.
    """
    if not (folder / TOKENIZER).is_file():
        raise ArtifactError(
            f"{folder}: {TOKENIZER} is missing; load the tokenizer with transformers and save it, which writes the file"
        )
    settings = _tokenizer_config(folder)
    if settings.get("truncation_side", "right") != "right":
        raise ArtifactError(
            f"{folder}: the tokenizer truncates texts on the left, but only the right is supported; use another model"
        )
    return PairTokenizer(folder / TOKENIZER)


def check_vocabulary(folder: Path, tokenizer: PairTokenizer, config: Any) -> None:
    """Check that the model has an embedding for every token.

    Raises:
        ArtifactError: the model has fewer embeddings than the tokenizer has tokens.
    """
    size = int(config.get_text_config().vocab_size)
    if tokenizer.size > size:
        raise ArtifactError(
            f"{folder}: {TOKENIZER} has {tokenizer.size} tokens, but the model has {size} embeddings; use the "
            f"tokenizer that belongs to the model"
        )


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read: {error}; copy this file again") from error
    return settings if isinstance(settings, dict) else {}


def max_length_of(folder: Path, config: dict[str, Any], wanted: int | None) -> int:
    """Return the maximum number of tokens in a pair.

    It is ``wanted`` if given. Otherwise it is the lower of the model's and the tokenizer's limit, at most 512.

    Raises:
        ArtifactError: ``wanted`` is above the limit of model or tokenizer.
    """
    positions = config.get("max_position_embeddings")
    limits = [value for value in (positions, _tokenizer_config(folder).get("model_max_length")) if value]
    # RoBERTa numbers positions from the id of its padding token plus 1.
    if positions and config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "longformer"}:
        limits[0] = positions - int(config.get("pad_token_id") or 0) - 1
    limit = int(min(limits, default=512))
    if wanted is not None and wanted > limit:
        raise ArtifactError(
            f"{folder}: max_length must be at most {limit} for this model, got {wanted}; lower max_length"
        )
    return wanted or min(limit, 512)


def reads_types(folder: Path, config: dict[str, Any]) -> bool:
    """Return whether the folder's tokenizer in transformers has type ids, which tell a pair's texts apart.

    Raises:
        ArtifactError: transformers cannot load the tokenizer.
    """
    if int(config.get("type_vocab_size") or 2) < 2:
        return False
    from transformers import AutoTokenizer

    try:
        names = AutoTokenizer.from_pretrained(folder, local_files_only=True).model_input_names
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{folder}: transformers cannot load the folder's tokenizer: {error}; copy the model's tokenizer files "
            f"into the folder"
        ) from error
    return "token_type_ids" in names
