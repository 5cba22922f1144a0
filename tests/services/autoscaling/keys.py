"""A key-value store in this process."""

import threading


class MemoryKeys:
    """A replacement for Ray's store. Reading fails while ``is_away`` is set."""

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
