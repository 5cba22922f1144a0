"""How the ranks of one machine come to map the same memory: rank 0 makes it and sends its descriptor to the others."""

import hashlib
import os
import secrets
import socket
from collections.abc import Sequence

from services.sharding.shared_memory import SharedBoard, total_bytes

_JOIN_LIMIT_S = 10.0
_RANK_BYTES = 4


class Door:
    """Where rank 0 gives others of its machine the memory: an abstract socket, of whose name all have the token."""

    def __init__(self, token: bytes, size: int) -> None:
        """Make the memory of a group of ``size``, and listen; ranks may knock from now on.

        Raises:
            OSError: this machine has no such memory or sockets.
        """
        self._size, self._token = size, token
        self._memory = os.memfd_create("rankway-shards")
        os.ftruncate(self._memory, total_bytes(size))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(_name(token))
        self._listener.listen(64)
        self._listener.settimeout(_JOIN_LIMIT_S)

    def admit(self) -> SharedBoard:
        """Let in all other ranks, who have knocked.

        Raises:
            OSError: one has not.
        """
        bells: dict[int, socket.socket] = {}
        while len(bells) < self._size - 1:
            guest, _ = self._listener.accept()
            guest.settimeout(_JOIN_LIMIT_S)
            hello = guest.recv(len(self._token) + _RANK_BYTES, socket.MSG_WAITALL)
            if secrets.compare_digest(hello[: len(self._token)], self._token):
                bells[int.from_bytes(hello[len(self._token) :], "little")] = guest
            else:
                guest.close()
        ends: dict[int, dict[int, socket.socket]] = {rank: {} for rank in bells}
        for one in bells:
            for two in (rank for rank in bells if rank > one):
                ends[one][two], ends[two][one] = socket.socketpair()
        for rank, bell in bells.items():
            between = [ends[rank][other] for other in sorted(ends[rank])]
            socket.send_fds(bell, [b"+"], [self._memory, *[end.fileno() for end in between]])
        for end in (end for each in ends.values() for end in each.values()):
            end.close()  # the ranks' own are the only ones, so that an end is seen
        return SharedBoard(0, self._size, os.dup(self._memory), bells)

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()
        os.close(self._memory)


def knock(token: bytes, rank: int) -> socket.socket | None:
    """Ask rank 0 for the memory; None where it is on another machine."""
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bell.settimeout(_JOIN_LIMIT_S)
    try:
        bell.connect(_name(token))
        bell.sendall(token + rank.to_bytes(_RANK_BYTES, "little"))
    except OSError:
        bell.close()
        return None
    return bell


def enter(bell: socket.socket, rank: int, size: int) -> SharedBoard:
    """Take the memory, and the sockets to ranks beside this one and rank 0.

    Raises:
        OSError: rank 0 does not give it.
    """
    said, descriptors, _, _ = socket.recv_fds(bell, 1, size)
    if not said:
        raise OSError("rank 0 has closed its door")
    others: Sequence[int] = [each for each in range(1, size) if each != rank]
    bells = {other: socket.socket(fileno=end) for other, end in zip(others, descriptors[1:], strict=True)}
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return SharedBoard(rank, size, descriptors[0], {0: bell, **bells})


def _name(token: bytes) -> bytes:
    """Name the socket: such names are public, the token is not."""
    return b"\0rankway-" + hashlib.blake2b(token, digest_size=16).hexdigest().encode()
