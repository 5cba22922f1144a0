"""A load's marks in Redis or Valkey: a bit for each part, on each server that has rows.

Bit 0 is set when a load begins. Bit n is set after part n's rows, in the same Redis pipeline, on the same connection. A
server that has lost rows of part n has therefore also lost bit n or bit 0:

- A server that was emptied, or restarted without its data, has lost bit 0.
- A server that fell back to an earlier state has lost the last bits. This happens after a failover to a replica that
  was behind, or a restart from an old file.

If a server still has n parts, the first bit that is not set is therefore bit n + 1. If the server has lost everything,
the first such bit is bit 0. A cluster has such bits on each master, under keys that hash to one of the master's slots.
"""

import re
import secrets
from typing import Any

import redis
from redis.crc import key_slot

Client = redis.Redis | redis.RedisCluster
_ID = re.compile(r"[0-9a-f]{16}(:[0-9]+)+")
_MAX_TAGS = 1_000_000  # even for a master with a single slot, 100,000 tags are almost certainly enough


class Marks:
    """One load's marks.

    Attributes:
        load: the load's id.
        keys: the marks' keys, one on each server.
    """

    def __init__(self, load: str, prefix: bytes) -> None:
        """Compute the marks' keys.

        Args:
            load: an id that ``begin`` has made. Any other text stands for a load without marks.
            prefix: the prefix of all keys in the store.
        """
        token, *tags = load.split(":") if _ID.fullmatch(load) else [""]
        self.load = load
        self.keys = [_key(prefix, tag, token) for tag in tags]

    @classmethod
    def begin(cls, client: Client, prefix: bytes) -> "Marks":
        """Begin a load: set bit 0 on each server, and return the marks.

        Raises:
            redis.RedisError, redis.exceptions.RedisClusterException: a server refuses the command, or is not reachable.
        """
        token = secrets.token_hex(8)
        tags = _tags(client, prefix, token) if isinstance(client, redis.RedisCluster) else ["0"]
        marks = cls(":".join([token, *tags]), prefix)
        for key in marks.keys:
            client.setbit(key, 0, 1)
        return marks

    def add(self, pipeline: Any, number: int) -> None:
        """Add commands to a pipeline, after the rows of part ``number``.

        The commands set the part's bits, and ask each server for the index of its first unset bit.
        """
        for key in self.keys:
            pipeline.setbit(key, number, 1)
        for key in self.keys:
            pipeline.bitpos(key, 0)

    def hold(self, answers: list[Any], number: int) -> bool:
        """Return whether the servers have all parts up to ``number``.

        Args:
            answers: the answers to a pipeline with the commands from ``add``.
            number: the last part's number.
        """
        return all(first > number for first in answers[-len(self.keys) :])

    def are_held(self, client: Client, count: int) -> bool:
        """Return whether every server has the bits for the first ``count`` parts.

        Raises:
            redis.RedisError, redis.exceptions.RedisClusterException: a server refuses the command, or is not reachable.
        """
        if not self.keys or (isinstance(client, redis.RedisCluster) and not self._on_all_masters(client)):
            return False
        return all(int(client.bitpos(key, 0)) > count for key in self.keys)

    def _on_all_masters(self, client: redis.RedisCluster) -> bool:
        """Return whether each master has a mark. A master that got slots after the load began may have none."""
        client.nodes_manager.initialize()
        masters = _masters(client)
        return {masters[key_slot(key)] for key in self.keys if key_slot(key) in masters} == set(
            masters.values()
        )


def _key(prefix: bytes, tag: str, token: str) -> bytes:
    """Return a mark's key. It never equals a row's key, which has a slash after the closing brace."""
    return prefix + b"{%s}load/%s" % (tag.encode(), token.encode())


def _masters(client: redis.RedisCluster) -> dict[int, str]:
    return {slot: nodes[0].name for slot, nodes in client.nodes_manager.slots_cache.items() if nodes}


def _tags(client: redis.RedisCluster, prefix: bytes, token: str) -> list[str]:
    """Return a hash tag for each master."""
    masters = _masters(client)
    missing, tags = set(masters.values()), []
    for number in range(_MAX_TAGS):
        master = masters.get(key_slot(_key(prefix, str(number), token)))
        if master in missing:
            missing.remove(master)
            tags.append(str(number))
        if not missing:
            return tags
    raise redis.RedisError(f"cannot find a key whose slot belongs to {', '.join(sorted(missing))}")
