"""The machine on which models are measured."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from models.compress.rows import Machine
from models.cpu_flags import INSTRUCTION_SETS, cpu_fields, flags_in

_LIBRARIES = ("onnxruntime", "openvino", "torch", "lightgbm", "xgboost", "numpy")


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
