"""Switch off telemetry in the libraries that execute models.

ONNX Runtime 1.32 records events in a database in the user's cache directory, and sends them. All processes on a machine
share this database, and importing the library creates it. A variable that the operator has set stays unchanged.
"""

import os
import sys
from importlib import import_module
from types import ModuleType

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Environment variables that these libraries read on import."""


def forbid_telemetry() -> None:
    """Set the variables for this process and its children. Call this before the libraries are imported."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Importing OpenVINO 2026.4 creates an id of the user in ``~/intel``, with which the package openvino_telemetry then
    sends events. No variable switches this off. Without that package OpenVINO sends nothing.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None forbids the import
    return import_module("openvino")
