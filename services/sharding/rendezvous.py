"""How the ranks on one host map the same memory.

Rank 0 makes the memory and listens on an abstract Unix socket. The other ranks connect and send the group's token.
Rank 0 then sends them the memory's file descriptor, and sockets that connect them with each other.
"""

import hashlib
import os
import secrets
import socket

from services.sharding.shared_memory import SharedMemory, total_bytes

_HANDSHAKE_LIMIT_S = 10.0
_RANK_BYTES = 4


class MemoryHost:
    """The memory in rank 0, which sends it to the other ranks."""

    def __init__(self, token: bytes, size: int) -> None:
        """Make the memory and listen. From now on ranks can connect.

        Args:
            token: the group's secret.
            size: the rank count, including rank 0.

        Raises:
            OSError: this machine does not support such memory or sockets.
        """
        self._size, self._token = size, token
        self._memory = os.memfd_create("rankway-shards")
        os.ftruncate(self._memory, total_bytes(size))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(_socket_name(token))
        self._listener.listen(64)
        self._listener.settimeout(_HANDSHAKE_LIMIT_S)

    def share(self) -> SharedMemory:
        """Wait until all other ranks have connected, send them the memory, and map it in this process.

        Raises:
            OSError: a rank is missing, and none has connected for 10 s.
        """
        to_rank_0: dict[int, socket.socket] = {}
        while len(to_rank_0) < self._size - 1:
            client, _ = self._listener.accept()
            client.settimeout(_HANDSHAKE_LIMIT_S)
            hello = client.recv(len(self._token) + _RANK_BYTES, socket.MSG_WAITALL)
            if secrets.compare_digest(hello[: len(self._token)], self._token):
                to_rank_0[int.from_bytes(hello[len(self._token) :], "little")] = client
            else:
                client.close()
        ends: dict[int, dict[int, socket.socket]] = {rank: {} for rank in to_rank_0}
        for first in to_rank_0:
            for second in (rank for rank in to_rank_0 if rank > first):
                ends[first][second], ends[second][first] = socket.socketpair()
        for rank, client in to_rank_0.items():
            to_others = [ends[rank][other] for other in sorted(ends[rank])]
            socket.send_fds(client, [b"+"], [self._memory, *[end.fileno() for end in to_others]])
        for end in (end for each in ends.values() for end in each.values()):
            end.close()  # now only the ranks have these sockets, so that a rank notices when another one ends
        return SharedMemory(0, self._size, os.dup(self._memory), to_rank_0)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        os.close(self._memory)


def connect(token: bytes, rank: int) -> socket.socket | None:
    """Connect to rank 0 and send the token. Return the socket, or None if rank 0 does not listen on this machine."""
    to_rank_0 = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    to_rank_0.settimeout(_HANDSHAKE_LIMIT_S)
    try:
        to_rank_0.connect(_socket_name(token))
        to_rank_0.sendall(token + rank.to_bytes(_RANK_BYTES, "little"))
    except OSError:
        to_rank_0.close()
        return None
    return to_rank_0


def receive_memory(to_rank_0: socket.socket, rank: int, size: int) -> SharedMemory:
    """Receive the memory, and the sockets to the other ranks.

    Args:
        to_rank_0: the socket to rank 0.
        rank: this rank's number.
        size: the rank count, including rank 0.

    Raises:
        OSError: rank 0 does not send the memory.
    """
    message, descriptors, _, _ = socket.recv_fds(to_rank_0, 1, size)
    if not message:
        raise OSError("rank 0 has closed its socket")
    others = [other for other in range(1, size) if other != rank]
    sockets = {
        other: socket.socket(fileno=fileno) for other, fileno in zip(others, descriptors[1:], strict=True)
    }
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return SharedMemory(rank, size, descriptors[0], {0: to_rank_0, **sockets})


def _socket_name(token: bytes) -> bytes:
    """Return a socket name with a hash of the token. Abstract socket names are public, but the token is secret."""
    return b"\0rankway-" + hashlib.blake2b(token, digest_size=16).hexdigest().encode()
