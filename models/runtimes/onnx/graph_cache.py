"""Optimised graphs on disk, so that only the first load of a model optimises its graph.

An entry is a folder with the optimised graph, its weights as ONNX Runtime arranges them for this CPU, and the sha256 of
both. ONNX Runtime maps the weights into memory, so processes of one host share them. Entries are written completely or
not at all. A damaged entry is written again. If the cache cannot be used, the graph is optimised in memory.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import onnxruntime as ort

from models.artifact import sha256_of
from models.atomic_directory import written_whole
from models.cpu_flags import cpu_flags
from models.errors import FolderBusy
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.onnx.opening import open_session, session_options

_log = logging.getLogger(__name__)
_GRAPH, _WEIGHTS, _HASHES = "graph.onnx", "weights.bin", "sha256.json"
_ENTRY = re.compile(r"[0-9a-f]{32}")
_UNUSED_LIMIT_S = 30 * 86_400.0
"""Entries that no process has opened for this long are removed when another entry is written."""
_NOT_PART_OF_A_GRAPH = {".yaml", ".safetensors"}


def cached_session(folder: Path, model: Path | bytes, config: OnnxConfig) -> ort.InferenceSession:
    """Open a model from its entry in the cache. If there is no valid entry, optimise the model and write one.

    Args:
        folder: the cache's folder, which is made if it is missing.
        model: a path, or the model's bytes.
        config: the options.

    Raises:
        Exception: ONNX Runtime cannot load the model. Its errors share no public base class.
    """
    entry = folder / _key(model, config)
    ready = config.model_copy(update={"graph_optimization_level": "disabled"})  # it is optimised already
    try:
        if not _is_valid(entry):
            with written_whole(entry, wait_limit_s=0.0) as staging:
                _optimise(model, config, staging)
            _remove_unused(folder)
        session = open_session(entry / _GRAPH, ready)
        with suppress(OSError):
            os.utime(entry)
        return session
    except FolderBusy:
        return open_session(model, config)  # another process writes the entry
    except Exception as error:  # an OSError, or ONNX Runtime's errors, which share no public base class
        session = open_session(model, config)  # raises the model's own error, if that is the cause
        _log.warning("runtime.graph_cache: %s cannot be used: %s; free or mount %s", entry, error, folder)
        return session


def _optimise(model: Path | bytes, config: OnnxConfig, staging: Path) -> None:
    options = session_options(config)
    options.optimized_model_filepath = str(staging / _GRAPH)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    open_session(model, config, options)
    hashes = {path.name: sha256_of(path) for path in sorted(staging.iterdir())}
    (staging / _HASHES).write_text(json.dumps(hashes))


def _is_valid(entry: Path) -> bool:
    """Return whether an entry exists and has the content with which it was written."""
    with suppress(OSError, ValueError):
        hashes = json.loads((entry / _HASHES).read_text())
        if isinstance(hashes, dict) and _GRAPH in hashes:
            return all(sha256_of(entry / name) == expected for name, expected in hashes.items())
    return False


def _remove_unused(folder: Path) -> None:
    oldest_s = time.time() - _UNUSED_LIMIT_S
    with suppress(OSError):
        for entry in folder.iterdir():
            if (
                _ENTRY.fullmatch(entry.name)
                and (entry / _HASHES).is_file()
                and entry.stat().st_mtime < oldest_s
            ):
                shutil.rmtree(entry, ignore_errors=True)


def _key(model: Path | bytes, config: OnnxConfig) -> str:
    """Return a name for everything on which the optimised graph depends."""
    digest = hashlib.sha256()
    for part in (*_contents(model), ort.__version__, config.graph_optimization_level, *cpu_flags()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:32]


def _contents(model: Path | bytes) -> Iterator[str]:
    """Yield the hashes of a model and of the files beside it that may hold its weights."""
    if isinstance(model, bytes):
        yield hashlib.sha256(model).hexdigest()
        return
    yield sha256_of(model)
    for path in sorted(model.parent.iterdir()):
        if path.is_file() and path != model and path.suffix not in _NOT_PART_OF_A_GRAPH:
            yield f"{path.name} {sha256_of(path)}"
