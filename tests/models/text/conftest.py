"""Fixtures: two tiny Hugging Face cross-encoders with random weights, saved by transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from walks.sources import TOKENIZER, locate

_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_CORPUS = [
    "quiet forest path by the sea",
    "Loop in parks: Töölönlahti, Esplanadi",
    "cafés, museums, stairs 123",
] * 20


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BERT's folder, with MiniLM's tokenizer."""
    tokenizer = BertTokenizer(tokenizer_file=str(locate(TOKENIZER)), model_max_length=512)
    return _saved(tmp_path_factory.mktemp("bert"), tokenizer, "bert", vocab_size=30_522)


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a RoBERTa's folder.

    Its byte-level tokenizer puts two tokens between the texts and has no types.
    """
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    bare.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bare.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="<pad>")
    sizes = {"vocab_size": 400, "max_position_embeddings": 66, "pad_token_id": 1, "type_vocab_size": 1}
    return _saved(tmp_path_factory.mktemp("roberta"), tokenizer, "roberta", num_labels=2, **sizes)


def _saved(root: Path, tokenizer: PreTrainedTokenizerBase, kind: str, **fields: Any) -> Path:
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **{**_SIZE, "num_labels": 1, "initializer_range": 0.2, **fields})
    AutoModelForSequenceClassification.from_config(config).save_pretrained(root)
    tokenizer.save_pretrained(root)
    return root
