"""Switch off telemetry in the libraries that execute models.

ONNX Runtime 1.32 records events in a database in the user's cache directory, and sends them. All processes on a machine
share this database, and importing the library creates it. A variable that the operator has set stays unchanged.
"""

import os

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Environment variables that these libraries read on import."""


def forbid_telemetry() -> None:
    """Set the variables for this process and its children. Call this before the libraries are imported."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
