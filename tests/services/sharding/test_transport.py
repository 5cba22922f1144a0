"""The transport that a group uses, and the transports that it refuses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from models.runtimes.base import Transport
from models.runtimes.kinds.deepspeed import DeepSpeedConfig
from services.errors import ConfigError
from services.sharding.group import ShardGroup
from services.sharding.processes import ProcessLauncher
from services.sharding.shared_memory import is_supported
from tests.services.sharding.running_group import TIMEOUT_S


@contextmanager
def starting(transport: Transport | None) -> Iterator[ShardGroup]:
    """Start a group of two ranks without loading a model."""
    config = DeepSpeedConfig(kind="deepspeed", shards=2, timeout_s=TIMEOUT_S, transport=transport)
    group = ShardGroup(config, ProcessLauncher())
    try:
        yield group
    finally:
        group.close()


def test_refuses_shared_memory_on_another_platform_before_it_starts_a_rank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    message = (
        "transport: ranks can share memory only on Linux on x86-64, and this machine is linux on aarch64, "
        "got shared_memory"
    )
    launcher = ProcessLauncher()
    config = DeepSpeedConfig(kind="deepspeed", transport="shared_memory")
    with pytest.raises(ConfigError, match=message):
        ShardGroup(config, launcher)
    assert launcher.started == []


@pytest.mark.skipif(not is_supported(), reason="x86-64 and Linux only")
def test_refuses_shared_memory_if_a_rank_cannot_map_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_arguments: object) -> int:
        raise OSError("rank 0's machine has none")

    monkeypatch.setattr(os, "memfd_create", no_memory)
    with (
        starting("shared_memory") as group,
        pytest.raises(
            ConfigError, match=r"transport: the ranks are on several machines, .*, got shared_memory"
        ),
    ):
        group.join()


def test_chooses_gloo_if_a_rank_has_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with starting(None) as group:
        group.join()
        assert group.transport == "gloo"
        group.check()
