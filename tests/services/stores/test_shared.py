"""One process's open stores: a store counts its failing servers while it is open."""

from pathlib import Path

from benchmarks.harness.servers import free_port
from services.stores.kinds.redis import RedisConfig
from services.stores.shared import SharedStores


def test_counts_an_unreachable_server_while_its_store_is_open(tmp_path: Path) -> None:
    stores = SharedStores()
    config = RedisConfig.model_validate(
        {
            "kind": "redis",
            "nodes": [f"127.0.0.1:{free_port()}"],
            "connect_timeout_ms": 50,
            "breaker": {"failures": 2, "retry_after_ms": 60_000},
        }
    )
    store = stores.open(config, tmp_path, 1)
    assert stores.left_alone == 0
    for _ in range(2):
        assert store.read_many([b"{u1}/user"]).unread == [0]
    assert stores.left_alone == 1
    assert stores.open(config, tmp_path, 1) is store
    del store
    assert stores.left_alone == 0
