"""Convert a saved Hugging Face folder (config.json, safetensors, tokenizer.json) into an artifact.

Weights are read only from safetensors, never from a pickle. Code that comes with a model is not run.
"""

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
from models.text.folder_config import (
    check_vocabulary,
    checked_tokenizer,
    config_of,
    max_length_of,
    reads_types,
)
from models.text.tokenizer import TOKENIZER, PairTokenizer
from models.training.export import SAFETENSORS, weight_writer

_GOLDEN_PAIRS, _GOLDEN_TOKENS = 4, 16


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A folder's model.

    Attributes:
        random: names of weights that are missing in the folder and have random values.
    """

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
    """Load the model in ``folder``, which will read the texts ``query`` and ``text``.

    Args:
        folder: written by ``save_pretrained``.
        query: a request text, such as "context.query".
        text: an item text, such as "details.summary".
        max_length: maximum tokens per pair. None: the limit of model and tokenizer, at most 512.
        random_head: give an encoder without a classification head a head with random weights.
        seed: seed for the random head.

    Raises:
        ArtifactError: a file is missing, weights are missing or only pickled, or the model does not return one score.
        RuntimeFailure: the tokenizer cannot be used.
    """
    config = config_of(folder)
    logging.set_verbosity_error()  # missing weights are reported by this function
    logging.disable_progress_bar()
    if random_head:
        config |= {"num_labels": 1}
        config = {name: value for name, value in config.items() if name not in {"id2label", "label2id"}}
    tokenizer = checked_tokenizer(folder, config)
    pair = PairSpec(
        query=query,
        text=text,
        max_length=max_length_of(folder, config, max_length),
        pad_id=config.get("pad_token_id") or 0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = SequenceClassifierOptions(config=config, pair=pair, types=reads_types(folder, config))
        module = SequenceClassifier(options)
        check_vocabulary(folder, tokenizer, module.model.config)
        model, missing = _from_pretrained(module, folder)
    head = {name for name in missing if not name.startswith(f"{model.base_model_prefix}.")}
    absent = sorted(missing if not random_head else missing - head)
    if absent:
        remedy = "use a folder with all weights"
        if not random_head and head == missing:
            remedy = (
                "the model is an encoder without a classification head; train a head, or allow a random head"
            )
        raise ArtifactError(f"{folder} has no weights {', '.join(absent)}; {remedy}")
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
    """Write the model as an artifact: safetensors, tokenizer, golden requests and, with ``onnx``, the ONNX graph."""
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
        raise ArtifactError(
            f"the weights in {folder} cannot be read: {error}; copy the model again"
        ) from error
    return model, set(report["missing_keys"])


def _golden(module: SequenceClassifier, tokenizer: Path) -> Inputs:
    """Return a few pairs of random tokens. The last pair is shorter and padded."""
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
