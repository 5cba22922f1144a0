"""The errors that end a run, because all later steps would fail too."""

import pytest

from models.compress.running.failures import is_full_disk
from models.errors import TrainingError


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError("1048576 requested and 131072 written"), True),  # numpy, while it writes an array
        (OSError("Not enough free space to write 1048576 bytes"), True),
        (RuntimeError("Io error: File too large (os error 27)"), True),  # safetensors
        (FileNotFoundError(2, "No such file or directory"), False),
        (TrainingError("noise.scale: os error 27 (os error 27)"), False),
        (ZeroDivisionError("division by zero"), False),
    ],
)
def test_a_full_disk_is_told_from_errors_of_a_step(error: Exception, ends: bool) -> None:
    assert is_full_disk(error) == ends
