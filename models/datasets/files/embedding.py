"""Embeddings of texts by a sentence encoder in a folder, such as all-MiniLM-L6-v2. Nothing is downloaded.

The folder has ``tokenizer.json`` and ``model.onnx``. The model takes ``input_ids`` and ``attention_mask``. Its first
output has a vector for each token, which are averaged, or a vector for each text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.datasets.files.progress import Progress
from models.errors import ArtifactError
from models.extras import require

_BATCH = 64
_MOST_TOKENS = 64
_MOST_CHARACTERS = 2000


def embedded(folder: str, columns: Sequence[pa.ChunkedArray], progress: Progress) -> NDArray[np.float32]:
    """Return a unit vector for each row, float32 (R, width), and 0 for rows without text.

    Args:
        folder: the encoder.
        columns: texts of R rows, which are joined by spaces.
        progress: receives the number of encoded texts.

    Raises:
        ArtifactError: the encoder cannot be loaded, or has other inputs.
        MissingPackage: the package tokenizers is not installed.
    """
    session, tokenizer = _loaded(Path(folder))
    texts = [
        " ".join(filter(None, row))[:_MOST_CHARACTERS]
        for row in zip(*(c.to_pylist() for c in columns), strict=True)
    ]
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors: NDArray[np.float32] | None = None
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        part = _encoded(session, tokenizer, [texts[row] or " " for row in rows], folder)
        if vectors is None:
            vectors = np.zeros((len(texts), part.shape[1]), dtype=np.float32)
        vectors[rows] = part
        progress("encoding the texts", start + len(rows), len(order))
    assert vectors is not None
    vectors[[not text for text in texts]] = 0.0
    return vectors


def _loaded(folder: Path) -> tuple[Any, Any]:
    require(["tokenizers"], "text")
    import onnxruntime
    from tokenizers import Tokenizer

    model, tokenizer = folder / "model.onnx", folder / "tokenizer.json"
    for path in (model, tokenizer):
        if not path.is_file():
            raise ArtifactError(
                f"--embed {folder}: must have {path.name}; name the folder of a sentence encoder"
            )
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        words = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the errors of the two libraries have no other common base class
        raise ArtifactError(f"--embed {folder}: cannot be loaded ({error}); name another folder") from error
    words.enable_padding()
    words.enable_truncation(_MOST_TOKENS)
    return session, words


def _encoded(session: Any, tokenizer: Any, texts: Sequence[str], folder: str) -> NDArray[np.float32]:
    tokens = tokenizer.encode_batch(texts)
    mask = np.array([one.attention_mask for one in tokens], dtype=np.int64)
    given = {
        "input_ids": np.array([one.ids for one in tokens], dtype=np.int64),
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(mask),
    }
    wanted = {one.name for one in session.get_inputs()}
    if not wanted <= given.keys():
        raise ArtifactError(
            f"--embed {folder}: model.onnx must take input_ids and attention_mask, got {', '.join(sorted(wanted))}; "
            f"name another encoder"
        )
    output = np.asarray(session.run(None, {name: given[name] for name in wanted})[0], dtype=np.float32)
    if output.ndim == 3:
        weights = mask[:, :, None].astype(np.float32)
        output = (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
    norms = np.linalg.norm(output, axis=1, keepdims=True)
    return np.asarray(output / np.maximum(norms, 1e-12), dtype=np.float32)
