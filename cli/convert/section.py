"""Reading a mapping of the source: types are checked, and keys that nothing has read are known."""

import re
from collections.abc import Iterator
from reprlib import Repr
from typing import Any

from services.errors import ConfigError

_DURATION = re.compile(r"\s*(\d+)\s*(ms|s|m|h|d)[a-z]*\s*")
_MOST = 2.0**63
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 100, 100
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Section:
    """A mapping of the source.

    Attributes:
        path: its place in the file, such as ``models.default``. Empty for the whole file.
        file: the file, for errors.
    """

    def __init__(self, data: Any, path: str, file: str) -> None:
        """Read from ``data``.

        Raises:
            ConfigError: the data are not a mapping.
        """
        self.path, self.file = path, file
        if data is not None and not isinstance(data, dict):
            raise self.error("", "expected a mapping", data)
        self._data: dict[Any, Any] = data or {}
        self._read: set[Any] = set()

    def at(self, key: str) -> str:
        """Return the place of a key in the file."""
        return ".".join(part for part in (self.path, key) if part)

    def error(self, key: str, problem: str, value: Any) -> ConfigError:
        """Return an error about the value of a key."""
        try:
            shown = _SHORT.repr(value)
        except ValueError:  # an integer of more than 4,300 digits
            shown = "a number with thousands of digits"
        place = ": ".join(part for part in (self.file, self.at(key)) if part)
        return ConfigError(f"{place}: {problem}, got {shown}; correct it")

    def __contains__(self, key: str) -> bool:
        """Return whether the key has a value."""
        return self._data.get(key) is not None

    def get(self, key: str) -> Any:
        """Return the value of a key, or None, and count it as read."""
        self._read.add(key)
        return self._data.get(key)

    def text(self, key: str, default: str = "") -> str:
        """Return a text. A number is accepted as its text."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(key, "expected text", value)
        return str(value)

    def number(self, key: str, default: float | None = None) -> float | None:
        """Return a finite number."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, "expected a number", value)
        if not abs(value) < _MOST:
            raise self.error(key, f"expected a number below {_MOST:g}", value)
        return value

    def integer(self, key: str, default: int) -> int:
        """Return a whole number."""
        value = self.number(key)
        if value is None:
            return default
        if isinstance(value, int):
            return value
        raise self.error(key, "expected a whole number", value)

    def many(self, key: str) -> list[Any]:
        """Return the values of a list. One value without a list is a list of one."""
        value = self.get(key)
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def texts(self, key: str) -> list[str]:
        """Return a list of texts."""
        return [str(value) for value in self._checked(key, str | int | float, "text")]

    def integers(self, key: str) -> list[int]:
        """Return a list of whole numbers."""
        return [int(value) for value in self._checked(key, int, "a whole number")]

    def duration_s(self, key: str, default_s: float) -> float:
        """Return a duration such as 30m, in seconds."""
        value = self.get(key)
        if value is None:
            return default_s
        match = _DURATION.fullmatch(str(value))
        if match is None or len(match[1]) > 12:
            raise self.error(key, "expected a duration such as 30s, 24h or 90d", value)
        return int(match[1]) * _UNIT_S[match[2]]

    def section(self, key: str) -> "Section":
        """Return the mapping at a key. It is empty if there is none."""
        return Section(self.get(key), self.at(key), self.file)

    def sections(self, key: str) -> list["Section"]:
        """Return the mappings in a list."""
        values = self.many(key)
        return [Section(value, f"{self.at(key)}[{i}]", self.file) for i, value in enumerate(values)]

    def named(self, key: str) -> dict[str, "Section"]:
        """Return the mappings of a mapping, by name."""
        inner = self.section(key)
        return {str(name): Section(value, inner.at(str(name)), self.file) for name, value in inner.items()}

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield all keys and values, and count them as read."""
        self._read.update(self._data)
        yield from self._data.items()

    def unread(self) -> list[str]:
        """Return the keys that nothing has read."""
        return [str(key) for key in self._data if key not in self._read]

    def _checked(self, key: str, kind: Any, words: str) -> list[Any]:
        values = self.many(key)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, kind):
                raise self.error(key, f"expected {words}", value)
            if isinstance(value, int) and not abs(value) < _MOST:
                raise self.error(key, f"expected a number below {_MOST:g}", value)
        return values
