"""The machine on which models are measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from models.compress.rows import Machine
from models.cpu_flags import INSTRUCTION_SETS, cpu_fields, cpu_flags, flags_in
from models.training.lineage import hash_of

_LIBRARIES = ("onnxruntime", "onnx", "openvino", "nncf", "torch", "lightgbm", "xgboost", "numpy")


def machine() -> Machine:
    """Return this machine's processor, and the versions of the libraries that execute models."""
    fields = cpu_fields()
    flags = flags_in(fields)
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return Machine(
        cpu=fields.get("model name", platform.machine()),
        cores=os.cpu_count() or 1,
        flags=tuple(name for name in INSTRUCTION_SETS if name in flags),
        versions=versions,
    )


def machine_key() -> str:
    """Return a hash of the processor and the libraries. Scores and times of another machine are not reused."""
    return hash_of({**machine().model_dump(mode="json"), "flags": cpu_flags()})
