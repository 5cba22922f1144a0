"""What PyTorch's errors become."""

import pytest
import torch

from models.errors import OutOfMemory
from models.runtimes.torch import FAULTS, failure


def test_an_allocation_that_fails_is_told_from_inputs_that_do_not_fit() -> None:
    with pytest.raises(FAULTS) as short:
        torch.empty(1 << 50, dtype=torch.uint8)
    with pytest.raises(FAULTS) as misshapen:
        torch.ones(2) @ torch.ones(3)
    assert isinstance(failure({}, short.value), OutOfMemory)
    assert isinstance(failure({}, MemoryError()), OutOfMemory)
    assert not isinstance(failure({}, misshapen.value), OutOfMemory)
