"""Fills a Redis with equal rows as fast as it reads: commands are made as arrays of bytes, and get no replies."""

import socket

import numpy as np
from numpy.typing import NDArray

from models.features.rows import row_key

RESERVED_BYTES = 4 << 30
"""Memory that other programs keep."""
_OVERHEAD_BYTES = 200  # Redis's own, per key, with room for fragmentation
_DIGITS, _AT_ONCE = 8, 50_000


def bytes_needed(users: int, row: bytes) -> int:
    """Return the memory that the rows of so many users take in Redis."""
    return users * (len(row) + _OVERHEAD_BYTES)


def insert(port: int, prefix: bytes, row: bytes, first: int, last: int) -> None:
    """Write the rows of the users [first, last), whose ids are u- and eight digits."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"CLIENT REPLY OFF\r\n")
        for start in range(first, last, _AT_ONCE):
            connection.sendall(commands(prefix, row, start, min(last, start + _AT_ONCE)).data)
        connection.sendall(b"CLIENT REPLY ON\r\n")
        answer = connection.recv(64)  # after all commands
    assert answer.startswith(b"+OK"), answer


def commands(prefix: bytes, row: bytes, first: int, last: int) -> NDArray[np.uint8]:
    """Return the SET commands in Redis's protocol, (users, bytes per command)."""
    key = prefix + row_key("user", b"u-" + b"0" * _DIGITS)
    command = b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(row), row)
    every = np.tile(np.frombuffer(command, np.uint8), (last - first, 1))
    at = command.index(b"u-" + b"0" * _DIGITS) + 2
    numbers = np.arange(first, last)
    for digit in range(_DIGITS):
        every[:, at + _DIGITS - 1 - digit] = ord("0") + numbers // 10**digit % 10
    return every
