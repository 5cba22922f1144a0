"""A key-value store in this process."""

import threading


class MemoryKeys:
    """Does what Ray's store does, as far as it is used; it may be away for reading."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.is_away = False
        self.written = threading.Semaphore(0)

    def read(self, key: bytes) -> bytes | None:
        if self.is_away:
            raise ConnectionError("the store is away")
        return self.values.get(key)

    def write(self, key: bytes, value: bytes) -> None:
        self.values[key] = value
        self.written.release()
