"""A saved folder becomes an artifact, or is rejected with the reason."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from models.artifact import Artifact
from models.errors import ArtifactError, ModelError
from models.runtimes import load_runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.text.hugging_face import load_folder, write_text_artifact
from models.text.tokenizer import TOKENIZER

load = partial(load_folder, query="context.query", text="details.text")


def test_all_runtimes_return_the_golden_scores(bert_folder: Path, tmp_path: Path) -> None:
    loaded = load(bert_folder)
    write_text_artifact(tmp_path / "a", loaded.module, bert_folder / TOKENIZER, name="a")
    artifact = Artifact.load(tmp_path / "a")

    assert loaded.random == ()
    assert artifact.signature.pair is not None and artifact.signature.pair.max_length == 512
    assert [spec.name for spec in artifact.signature.inputs] == [
        "input_ids",
        "attention_mask",
        "token_type_ids",
    ]
    for kind in ("torch", "onnx", "openvino"):
        assert check_golden(
            tmp_path / "a", artifact, load_runtime(tmp_path / "a", artifact, runtime_config(kind=kind))
        )


def test_loads_a_model_without_types_whose_positions_start_after_the_padding_id(roberta_folder: Path) -> None:
    module = load(roberta_folder).module

    assert module.inputs == ("input_ids", "attention_mask")
    assert (module.options.pair.pad_id, module.options.pair.max_length) == (1, 64)


def test_encoder_gets_a_random_head_only_on_request(bert_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(bert_folder, tmp_path / "encoder")
    AutoModel.from_pretrained(bert_folder).save_pretrained(tmp_path / "encoder")

    with pytest.raises(ArtifactError, match="encoder without a classification head"):
        load(tmp_path / "encoder")

    one, same, other = (load(tmp_path / "encoder", random_head=True, seed=seed) for seed in (1, 1, 2))
    assert one.random == ("classifier.bias", "classifier.weight")
    assert torch.equal(one.module.model.classifier.weight, same.module.model.classifier.weight)
    assert not torch.equal(one.module.model.classifier.weight, other.module.model.classifier.weight)


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _with_config(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def _pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _without_an_encoder_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("config.json"), "config.json is missing"),
        (_without("tokenizer.json"), "tokenizer.json is missing; load the tokenizer"),
        (_without("model.safetensors"), "cannot be read"),
        (_pickled, "cannot be read"),
        (
            _without_an_encoder_weight,
            "has no weights bert.encoder.layer.1.output.dense.weight; use a folder with",
        ),
        (_with_config(vocab_size=10), "has 30522 tokens, but the model has 10 embeddings"),
        (_with_config(model_type="nonesuch"), "nonesuch"),
        (_with_config(auto_map={"AutoModel": "x.Y"}), "code that comes with a model is never run"),
        (_with_config(id2label={"0": "a", "1": "b", "2": "c"}), r"num_labels: must be 1 .* or 2 .*, got 3"),
    ],
)
def test_rejects_a_folder_that_cannot_be_used(
    bert_folder: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(bert_folder, folder)
    change(folder)

    with pytest.raises(ModelError, match=message):
        load(folder)


def test_rejects_more_tokens_than_the_model_has_positions(bert_folder: Path) -> None:
    with pytest.raises(ArtifactError, match="max_length must be at most 512 for this model, got 600"):
        load(bert_folder, max_length=600)


def test_score_of_two_labels_is_the_difference_of_their_logits(roberta_folder: Path) -> None:
    module = load(roberta_folder).module
    ids = torch.tensor([[0, 5, 2, 2, 9, 2], [0, 7, 2, 2, 8, 2]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    with torch.inference_mode():
        scores, logits = module(inputs), module.model(**inputs).logits

    assert np.allclose(scores, logits[:, 1] - logits[:, 0])
