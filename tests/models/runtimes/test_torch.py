"""PyTorch errors, and the errors that the runtime raises for them."""

import pytest
import torch

from models.errors import OutOfMemory
from models.runtimes.torch import FAULTS, failure


def test_distinguishes_a_failed_allocation_from_unsuitable_inputs() -> None:
    with pytest.raises(FAULTS) as short:
        torch.empty(1 << 50, dtype=torch.uint8)
    with pytest.raises(FAULTS) as misshapen:
        torch.ones(2) @ torch.ones(3)
    assert isinstance(failure({}, short.value), OutOfMemory)
    assert isinstance(failure({}, MemoryError()), OutOfMemory)
    assert not isinstance(failure({}, misshapen.value), OutOfMemory)
