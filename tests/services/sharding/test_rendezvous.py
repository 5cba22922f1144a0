"""Ranks find the memory of their group."""

import secrets

import pytest

from services.sharding.rendezvous import connect
from services.sharding.shared_memory import is_supported


@pytest.mark.skipif(not is_supported(), reason="x86-64 and Linux only")
def test_returns_none_if_rank_0_does_not_listen_on_this_machine() -> None:
    assert connect(secrets.token_bytes(16), 1) is None
