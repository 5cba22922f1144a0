"""A Hugging Face sequence classifier as a text ranker: one score for a query and an item text.

It is a cross-encoder: both texts form one sequence, so that query tokens and item tokens attend to each other
(Nogueira & Cho 2019, arXiv:1901.04085). Any ``*ForSequenceClassification`` class from transformers works.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.architectures.base import Architecture
from models.architectures.options import SequenceClassifierOptions
from models.architectures.resizing import resize
from models.errors import ArtifactError
from models.signature import InputSpec, Signature

_SOURCES = {"input_ids": "tokens.ids", "attention_mask": "tokens.mask", "token_type_ids": "tokens.types"}


class SequenceClassifier(Architecture):
    """Scores text pairs, given as tokens (P, L). The scores are (P,)."""

    options: SequenceClassifierOptions

    def __init__(self, options: SequenceClassifierOptions) -> None:
        """Build the module with random weights.

        Raises:
            ArtifactError: transformers is not installed or does not know the model, or the model has more than two
                labels.
        """
        super().__init__()
        self.options = options
        self.model = _build(options.config)
        resize(self, options.linears)
        self.labels = int(self.model.config.num_labels)
        if self.labels not in {1, 2}:
            raise ArtifactError(
                f"num_labels: must be 1 (the logit is the score) or 2 (the score is the second logit minus the first), "
                f"got {self.labels}; use a model with 1 or 2 labels"
            )
        types = options.types and "token_type_ids" in inspect.signature(self.model.forward).parameters
        self.inputs = ("input_ids", "attention_mask", *(["token_type_ids"] if types else []))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the scores (P,)."""
        logits: Tensor = self.model(**{name: inputs[name] for name in self.inputs}).logits
        return logits[:, 0] if self.labels == 1 else logits[:, 1] - logits[:, 0]

    def signature(self, feature_hash: str) -> Signature:
        """Return the declared inputs and their sources.

        ``feature_hash`` may be empty: the model reads texts, which mean the same with any feature definitions.
        """
        specs = (InputSpec(name=name, source=_SOURCES[name], dtype="int64") for name in self.inputs)
        return Signature(
            inputs=tuple(specs), layout="pairs", feature_hash=feature_hash, pair=self.options.pair
        )


def _build(config: Mapping[str, Any]) -> Any:
    try:
        from transformers import AutoConfig, AutoModelForSequenceClassification
    except ImportError as error:
        raise ArtifactError(
            "the package transformers, which builds this model, is not installed; pip install 'rankway[text]', or "
            "serve the model's ONNX graph (runtime.kind: onnx)"
        ) from error
    fields = dict(config)
    model_type = fields.pop("model_type", None)
    try:
        built = AutoConfig.for_model(str(model_type), **fields)
        return AutoModelForSequenceClassification.from_config(built, dtype=torch.float32)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(
            f"config.json: transformers cannot build a sequence classifier of model_type {model_type!r}: {error}"
        ) from error
