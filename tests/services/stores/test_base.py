"""Store options in a pipeline's YAML."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.stores.base import StoreOptions
from services.stores.kinds.lmdb import LmdbConfig
from services.stores.kinds.redis import RedisConfig
from services.stores.kinds.registry import StoreConfig
from services.stores.redis.client import addresses_of

STORE: TypeAdapter[StoreOptions] = TypeAdapter(StoreConfig)


def test_each_kind_has_its_own_fields() -> None:
    assert STORE.validate_python({"kind": "lmdb", "path": "users"}) == LmdbConfig(path="users")
    assert STORE.validate_python({"kind": "redis"}) == RedisConfig(kind="redis")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"path": "users"}, "kind"),
        ({"kind": "redis", "path": "users"}, "path"),
        ({"kind": "redis", "password": "s3cret"}, "password"),
        ({"kind": "redis", "nodes": ["localhost"]}, "nodes"),
        ({"kind": "redis", "nodes": []}, "nodes"),
        ({"kind": "redis", "nodes": ["a:1", "b:2"]}, "set cluster: true"),
        ({"kind": "redis", "prefix": "a{"}, "hash tag"),
        ({"kind": "redis", "timeout_ms": 0}, "timeout_ms"),
        ({"kind": "redis", "password_env": "A", "password_file": "b"}, "keep one"),
        ({"kind": "redis", "tls": {"cert_file": "a"}}, "cert_file, key_file: only one of them is set"),
        ({"kind": "redis", "breaker": {"failures": 0}}, "failures"),
    ],
)
def test_refuses_invalid_options(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        STORE.validate_python(fields)


def test_hosts_are_names_or_ipv4_or_ipv6_addresses() -> None:
    config = RedisConfig(kind="redis", nodes=("cache.local:6379", "10.0.0.7:1", "[::1]:65535"), cluster=True)
    assert addresses_of(config) == [("cache.local", 6379), ("10.0.0.7", 1), ("::1", 65535)]
