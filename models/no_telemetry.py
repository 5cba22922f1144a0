"""Switch off the telemetry of the libraries that execute models.

ONNX Runtime 1.32 records events in a database in the user's cache directory, and sends them. All processes of a machine
share it. The import alone creates the files. A variable that the operator has set stays as it is.
"""

import os

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Environment variables that these libraries read when they are imported."""


def forbid_telemetry() -> None:
    """Set the variables for this process and its children.

    Call it before the libraries are imported.
    """
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
