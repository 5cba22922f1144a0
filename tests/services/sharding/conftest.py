"""Ranks over shared memory. They are started once for all tests that do not end them."""

from collections.abc import Iterator

import pytest

from services.sharding.shared_memory import is_supported
from tests.services.sharding.memory_ranks import SHORT_S, MemoryRanks

_NEEDS = pytest.mark.skipif(not is_supported(), reason="x86-64 and Linux only")


@pytest.fixture(
    scope="session",
    params=[pytest.param(2, marks=_NEEDS), pytest.param(4, marks=[_NEEDS, pytest.mark.slow])],
    ids=lambda size: f"{size} ranks",
)
def ranks(request: pytest.FixtureRequest) -> Iterator[MemoryRanks]:
    """Ranks that no test ends."""
    ranks = MemoryRanks(request.param)
    yield ranks
    ranks.close()


@pytest.fixture
def three_ranks() -> Iterator[MemoryRanks]:
    """Three new ranks for one test, with a short time limit."""
    if not is_supported():
        pytest.skip("x86-64 and Linux only")
    ranks = MemoryRanks(3, SHORT_S)
    yield ranks
    ranks.close()
