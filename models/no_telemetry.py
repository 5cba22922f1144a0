"""Libraries under the models report their use to their makers unless told not to; here they are told.

ONNX Runtime 1.32 keeps a database of events in the user's cache directory, one for all processes of a machine, and
sends it; importing it makes the files. A variable that the operator has set is left alone.
"""

import os

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Read when those libraries are imported."""


def forbid_telemetry() -> None:
    """Set it for this process and those that it starts; before the libraries are imported."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
