"""Find a model's format from its content, not from its name."""

import json
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile, ZipFile

from models.errors import ArtifactError

Format = Literal["hugging-face", "onnx", "lightgbm", "xgboost", "scikit-learn", "safetensors"]
_READ_BYTES = 4096
_MOST_UNPACKED_BYTES = 4 << 30
_KNOWN = "an ONNX graph, LightGBM text, XGBoost JSON, a skops or safetensors file, or a Hugging Face folder"


def format_of(source: Path) -> Format:
    """Return the format of a file or folder.

    Raises:
        ArtifactError: there is no such file, it cannot be read, or its format is not one that can be imported. The
            message names the way to convert it.
    """
    if source.is_dir():
        if (source / "config.json").is_file():
            return "hugging-face"
        raise ArtifactError(
            f"{source}: expected a Hugging Face folder, got a folder without config.json; name the model's file"
        )
    try:
        if source.exists() and not source.is_file():
            raise ArtifactError(
                f"{source}: expected a file, got a device, pipe or socket; name a model's file"
            )
        with source.open("rb") as file:
            start = file.read(_READ_BYTES)
    except OSError as error:
        raise ArtifactError(f"{source}: cannot be read: {error.strerror}; name a model's file") from error
    if not start:
        raise ArtifactError(f"{source}: the file is empty; copy the model again")
    for refused, problem in _REFUSED.items():
        if start.startswith(refused):
            raise ArtifactError(f"{source}: {problem}")
    if start.startswith(b"PK\x03\x04"):
        return _zip_format(source)
    if start.startswith(b"tree\n") or start.startswith(b"tree\r\n"):
        return "lightgbm"
    if start.startswith(b"{L\0\0\0\0"):
        return "xgboost"  # UBJSON, the default of XGBoost's save_model
    if start.lstrip()[:1] in {b"{", b"["}:
        return _json_format(source)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= source.stat().st_size:
        return "safetensors"
    if start[0] == 0x08:  # the ir_version, which all exporters write first
        return "onnx"
    raise ArtifactError(f"{source}: unknown format; expected {_KNOWN}")


def _zip_format(source: Path) -> Format:
    try:
        with ZipFile(source) as archive:
            names = archive.namelist()
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (BadZipFile, OSError) as error:
        raise ArtifactError(f"{source}: the archive is damaged: {error}; copy the model again") from error
    if unpacked > _MOST_UNPACKED_BYTES:
        raise ArtifactError(
            f"{source}: expected at most 4 GiB in the archive, got {unpacked} bytes; train a smaller model"
        )
    if "schema.json" in names:
        return "scikit-learn"
    if any(name.endswith("data.pkl") for name in names):
        raise ArtifactError(f"{source}: {_PICKLE}")
    raise ArtifactError(f"{source}: an archive of another program; expected {_KNOWN}")


def _json_format(source: Path) -> Format:
    try:
        document = json.loads(source.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise ArtifactError(f"{source}: cannot be read as JSON: {error}; save the model again") from error
    if isinstance(document, dict) and "learner" in document:
        return "xgboost"
    if isinstance(document, dict) and "tree_info" in document:
        raise ArtifactError(
            f"{source}: LightGBM cannot load its own JSON dump; save the model with booster.save_model('model.txt')"
        )
    raise ArtifactError(f"{source}: JSON of another program; expected {_KNOWN}")


_PICKLE = (
    "this is a pickle, which could execute any code when it is loaded; save the model with skops.io.dump "
    "(scikit-learn), booster.save_model (LightGBM, XGBoost), or torch.onnx.export (PyTorch)"
)
# Protocol 0 of pickle begins with the name of a function, and joblib compresses its pickles with zlib.
_REFUSED = {
    b"\x80": _PICKLE,
    b"cposix\n": _PICKLE,
    b"c__builtin__\n": _PICKLE,
    b"x\x9c": _PICKLE,
    b"x\x01": _PICKLE,
    b"x^": _PICKLE,
    b"x\xda": _PICKLE,
    b"\x89HDF": "this is HDF5, such as Keras writes; convert it with tf2onnx and import the ONNX graph",
    b"\x1f\x8b": "the file is compressed; decompress it first",
    b"binf": "an old binary format of XGBoost; save the model with booster.save_model('model.json')",
}
