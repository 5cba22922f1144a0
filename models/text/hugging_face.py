"""A saved Hugging Face folder (config.json, safetensors, tokenizer.json) as an artifact.

Weights come from safetensors alone, never from a pickle; code that comes with a model is not run.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from models.architectures.options import SequenceClassifierOptions
from models.architectures.sequence_classifier import SequenceClassifier
from models.artifact import Artifact, write_artifact
from models.errors import ArtifactError
from models.signature import Inputs, PairSpec
from models.text.tokenizer import TOKENIZER, PairTokenizer
from models.training.export import SAFETENSORS, weight_writer

_CONFIG = "config.json"
_DROPPED = {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
_GOLDEN_PAIRS, _GOLDEN_TOKENS = 4, 16


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A folder's model. random: its weights that the folder does not hold, which have random values."""

    module: SequenceClassifier
    random: tuple[str, ...]


def load_folder(
    folder: Path,
    *,
    query: str,
    text: str,
    max_length: int | None = None,
    random_head: bool = False,
    seed: int = 0,
) -> LoadedClassifier:
    """Load the model in ``folder`` as one that reads ``query`` and ``text``.

    max_length: tokens of a pair; None: as many as model and tokenizer take, 512 at most. random_head: for an encoder
    without a classification head, that head is made with random weights, from ``seed``.

    Raises:
        ArtifactError: a file is missing, weights are missing or only pickled, or the model gives no one score.
        RuntimeFailure: the tokenizer cannot be used.
    """
    config = _config_of(folder)
    logging.set_verbosity_error()  # what it would print of missing weights is told here
    logging.disable_progress_bar()
    if random_head:
        config |= {"num_labels": 1}
        config = {name: value for name, value in config.items() if name not in {"id2label", "label2id"}}
    tokenizer = _checked_tokenizer(folder, config)
    pair = PairSpec(
        query=query,
        text=text,
        max_length=_max_length(folder, config, max_length),
        pad_id=config.get("pad_token_id") or 0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = SequenceClassifierOptions(config=config, pair=pair, types=_reads_types(folder, config))
        module = SequenceClassifier(options)
        _check_vocabulary(folder, tokenizer, module.model.config)
        model, missing = _from_pretrained(module, folder)
    head = {name for name in missing if not name.startswith(f"{model.base_model_prefix}.")}
    lacking = sorted(missing if not random_head else missing - head)
    if lacking:
        remedy = "give a folder with all of them"
        if not random_head and head == missing:
            remedy = "it is an encoder without a classification head: train one, or allow a random head"
        raise ArtifactError(f"{folder} has no weights {', '.join(lacking)}: {remedy}")
    module.model = model
    return LoadedClassifier(module.eval(), tuple(sorted(head)))


def write_text_artifact(
    root: Path,
    module: SequenceClassifier,
    tokenizer: Path,
    *,
    name: str,
    onnx: bool = True,
    metrics: dict[str, float] | None = None,
    lineage: dict[str, Any] | None = None,
) -> Artifact:
    """Write the model as an artifact: safetensors, tokenizer, golden requests and, if asked for, the ONNX graph."""
    signature = module.signature("")

    def write(staging: Path) -> None:
        weight_writer(module, signature, _golden(module, tokenizer), onnx=onnx)(staging)
        shutil.copyfile(tokenizer, staging / TOKENIZER)

    return write_artifact(
        root,
        name=name,
        signature=signature,
        weights=SAFETENSORS,
        write_files=write,
        architecture=module.options.model_dump(mode="json"),
        metrics=metrics,
        lineage=lineage,
    )


def _config_of(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    if not path.is_file():
        raise ArtifactError(
            f"no Hugging Face model at {folder}: {_CONFIG} is missing; give a folder that save_pretrained wrote"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict) or "auto_map" in config:
        raise ArtifactError(
            f"{path} is of a model with code of its own, which is not run: give another model"
        )
    return {name: value for name, value in config.items() if name not in _DROPPED}


def _checked_tokenizer(folder: Path, config: dict[str, Any]) -> PairTokenizer:
    if not (folder / TOKENIZER).is_file():
        raise ArtifactError(
            f"{folder} has no {TOKENIZER}: load its tokenizer with transformers and save it again, which writes one"
        )
    settings = _tokenizer_config(folder)
    if settings.get("truncation_side", "right") != "right":
        raise ArtifactError(
            f"{folder}: its tokenizer cuts texts on the left, here they are cut on the right: give another model"
        )
    return PairTokenizer(folder / TOKENIZER)


def _check_vocabulary(folder: Path, tokenizer: PairTokenizer, config: Any) -> None:
    size = int(config.get_text_config().vocab_size)
    if tokenizer.size > size:
        raise ArtifactError(
            f"{folder}: {TOKENIZER} has {tokenizer.size} tokens, the model's table {size}: take the tokenizer that "
            f"belongs to the model"
        )


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error
    return settings if isinstance(settings, dict) else {}


def _max_length(folder: Path, config: dict[str, Any], wanted: int | None) -> int:
    positions = config.get("max_position_embeddings")
    limits = [value for value in (positions, _tokenizer_config(folder).get("model_max_length")) if value]
    # A RoBERTa counts positions from behind its padding token.
    if positions and config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "longformer"}:
        limits[0] = positions - int(config.get("pad_token_id") or 0) - 1
    most = int(min(limits, default=512))
    if wanted is not None and wanted > most:
        raise ArtifactError(
            f"{folder}: its model takes {most} tokens at most, {wanted} were asked for: ask for fewer"
        )
    return wanted or min(most, 512)


def _reads_types(folder: Path, config: dict[str, Any]) -> bool:
    """Whether transformers' own tokenizer of this folder tells the model which text a token is of."""
    if int(config.get("type_vocab_size") or 2) < 2:
        return False
    from transformers import AutoTokenizer

    try:
        names = AutoTokenizer.from_pretrained(folder, local_files_only=True).model_input_names
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{folder}: transformers cannot load its tokenizer: {error}") from error
    return "token_type_ids" in names


def _from_pretrained(module: SequenceClassifier, folder: Path) -> tuple[Any, set[str]]:
    try:
        model, report = type(module.model).from_pretrained(
            folder,
            config=module.model.config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"the weights in {folder} cannot be read: {error}") from error
    return model, set(report["missing_keys"])


def _golden(module: SequenceClassifier, tokenizer: Path) -> Inputs:
    """Give a few pairs of random tokens, one of them cut short."""
    pair = module.options.pair
    template = PairTokenizer(tokenizer).template
    random = torch.Generator().manual_seed(0)
    length = min(_GOLDEN_TOKENS, pair.max_length)
    shape = (_GOLDEN_PAIRS, length)
    ids = torch.randint(0, int(module.model.config.get_text_config().vocab_size), shape, generator=random)
    ids[:, : len(template.before)] = torch.from_numpy(template.before)
    mask = torch.ones_like(ids)
    mask[-1, length // 2 :] = 0
    ids = torch.where(mask.bool(), ids, pair.pad_id)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return {name: inputs[name].numpy() for name in module.inputs}
