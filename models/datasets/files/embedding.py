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

from models.code_identity import hash_of_code
from models.datasets.files.progress import Progress
from models.datasets.files.vector_store import VectorStore
from models.errors import ArtifactError
from models.extras import require

_BATCH = 64
_MOST_TOKENS = 64
_MOST_CHARACTERS = 2000
_KEPT_TOGETHER = 4096
"""Texts whose vectors are kept together. A build that is killed encodes at most these texts again."""
_NO_TEXT = " "


def embedded(
    folder: str, columns: Sequence[pa.ChunkedArray], progress: Progress, kept: VectorStore | None = None
) -> NDArray[np.float32]:
    """Return a unit vector for each row, float32 (R, width), and 0 for rows without text.

    Args:
        folder: the encoder.
        columns: texts of R rows, which are joined by spaces.
        progress: receives the number of encoded texts.
        kept: the vectors that earlier builds have computed. New ones are added, and unused ones removed.

    Raises:
        ArtifactError: the encoder cannot be loaded, or has other inputs.
        MissingPackage: the package tokenizers is not installed.
    """
    encoder = _stamp(Path(folder))
    texts = [
        " ".join(filter(None, row))[:_MOST_CHARACTERS] or _NO_TEXT
        for row in zip(*(c.to_pylist() for c in columns), strict=True)
    ]
    distinct = list(dict.fromkeys(texts))
    known = {} if kept is None else kept.load(encoder, distinct)
    new = sorted((text for text in distinct if text not in known), key=len)
    if new:
        session, tokenizer = _loaded(Path(folder))
    for start in range(0, len(new), _KEPT_TOGETHER):
        added: dict[str, NDArray[np.float32]] = {}
        for begin in range(start, min(start + _KEPT_TOGETHER, len(new)), _BATCH):
            batch = new[begin : begin + _BATCH]
            added |= zip(batch, _encoded(session, tokenizer, batch, folder), strict=True)
            progress("encoding the texts", begin + len(batch), len(new))
        if kept is not None:
            kept.add(encoder, added)
        known |= added
    if kept is not None:
        kept.keep_only(encoder, known)
    vectors = np.stack([known[text] for text in texts])
    vectors[[text == _NO_TEXT for text in texts]] = 0.0
    return vectors


def _files(folder: Path) -> tuple[Path, Path]:
    """Return the model and the tokenizer."""
    model, tokenizer = folder / "model.onnx", folder / "tokenizer.json"
    for path in (model, tokenizer):
        if not path.is_file():
            raise ArtifactError(
                f"--embed {folder}: must have {path.name}; name the folder of a sentence encoder"
            )
    return model, tokenizer


def _stamp(folder: Path) -> str:
    """Return a text that changes if the encoder, or the code that uses it, changes."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder)]
    return f"{files} {hash_of_code([Path(__file__)])}"


def _loaded(folder: Path) -> tuple[Any, Any]:
    require(["tokenizers"], "text")
    import onnxruntime
    from tokenizers import Tokenizer

    model, tokenizer = _files(folder)
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
