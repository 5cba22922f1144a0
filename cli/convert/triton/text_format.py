"""A parser of the text format of protocol buffers, in which config.pbtxt is written.

It needs no schema, so that every field of a newer Triton can be reported. Therefore a value is read by its form: quoted
text and names of enums become text, ``true`` and ``false`` become bool, and a field that occurs several times becomes a
list. The grammar is at https://protobuf.dev/reference/protobuf/textformat-spec/.
"""

import re
from typing import Any, NoReturn

from services.errors import ConfigError

_SKIPPED = re.compile(r"(?:\s+|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|\[[A-Za-z0-9_./-]+\]")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|' r"'(?:[^'\\\n]|\\.)*'")
_NUMBER = re.compile(r"-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![A-Za-z0-9_.])")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, "f": 12, "v": 11}
_CLOSING = {"{": "}", "<": ">"}
_NOT_FINITE = {"inf": "inf", "inff": "inf", "infinity": "inf", "nan": "nan", "nanf": "nan"}
_DEPTH_LIMIT = 64
_DIGITS_LIMIT = 400


def parsed(text: str, file: str) -> dict[str, Any]:
    """Return the message in a text.

    Args:
        text: in the text format.
        file: its name, for errors.

    Raises:
        ConfigError: the text is not valid. The error has the line and the column.
    """
    return _Parser(text, file).message("", 0)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._text, self._file, self._at = text, file, 0

    def message(self, closing: str, depth: int) -> dict[str, Any]:
        """Read fields up to ``closing``. An empty one is the end of the text."""
        if depth > _DEPTH_LIMIT:
            self._fail(f"expected at most {_DEPTH_LIMIT} messages inside each other")
        fields: dict[str, Any] = {}
        while True:
            self._skip()
            if self._at == len(self._text):
                if closing:
                    self._fail(f"expected {closing}, got the end of the file; close the message")
                return fields
            if closing and self._take(closing):
                return fields
            name = self._match(_NAME)
            if name is None:
                self._fail(f"expected the name of a field, got {self._shown()}")
            value = self._value_of_field(depth)
            fields[name] = _joined(fields[name], value) if name in fields else value
            if not self._take(","):
                self._take(";")

    def _value_of_field(self, depth: int) -> Any:
        has_colon = self._take(":")
        if self._take("["):
            values: list[Any] = []
            while not self._take("]"):
                if values and not self._take(","):
                    self._fail(f"expected , or ], got {self._shown()}")
                values.append(self._value(depth))
            return values
        if not has_colon and self._peek() not in _CLOSING:
            self._fail(f"expected : or {{, got {self._shown()}")
        return self._value(depth)

    def _value(self, depth: int) -> Any:
        for opening, closing in _CLOSING.items():
            if self._take(opening):
                return self.message(closing, depth + 1)
        quoted = self._match(_STRING)
        if quoted is not None:
            data = self._unquoted(quoted)
            while (more := self._match(_STRING)) is not None:  # strings beside each other are one
                data += self._unquoted(more)
            return data.decode("utf-8", errors="replace")
        number = self._match(_NUMBER)
        if number is not None:
            return self._number(number)
        sign = "-" if self._take("-") else ""
        name = self._match(_NAME)
        if name is None:
            self._fail(f"expected a value, got {self._shown()}")
        if name.lower() in _NOT_FINITE:
            return float(sign + _NOT_FINITE[name.lower()])
        return {"true": True, "True": True, "false": False, "False": False}.get(name, sign + name)

    def _number(self, text: str) -> int | float:
        digits = re.sub(r"\s", "", text)
        if len(digits) > _DIGITS_LIMIT:
            self._fail(f"expected a number of at most {_DIGITS_LIMIT} digits")
        unsigned = digits.removeprefix("-")
        sign = -1 if digits != unsigned else 1
        if unsigned.lower().startswith("0x"):
            return sign * int(unsigned, 16)
        if unsigned.isdigit():
            is_octal = len(unsigned) > 1 and unsigned.startswith("0") and set(unsigned) <= set("01234567")
            return sign * int(unsigned, 8 if is_octal else 10)
        return sign * float(unsigned.rstrip("fF"))

    def _unquoted(self, quoted: str) -> bytes:
        out, last = bytearray(), 0
        body = quoted[1:-1]
        for match in _ESCAPE.finditer(body):
            out += body[last : match.start()].encode()
            out += self._escaped(match[1])
            last = match.end()
        return bytes(out + body[last:].encode())

    def _escaped(self, code: str) -> bytes:
        if code[0] in "01234567":
            return bytes([int(code, 8) & 0xFF])
        if code[0] == "x" and len(code) > 1:
            return bytes([int(code[1:], 16)])
        if code[0] in "uU" and len(code) > 1:
            point = int(code[1:], 16)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                self._fail(f"expected a character, got \\{code}")
            return chr(point).encode()
        return bytes([_ESCAPED[code]]) if code in _ESCAPED else code.encode()

    def _skip(self) -> None:
        match = _SKIPPED.match(self._text, self._at)
        assert match is not None, "the pattern matches the empty text too"
        self._at = match.end()

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._at += 1
        return True

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        self._skip()
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _shown(self) -> str:
        self._skip()
        return (
            repr(self._text[self._at : self._at + 20])
            if self._at < len(self._text)
            else "the end of the file"
        )

    def _fail(self, problem: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at)
        raise ConfigError(f"{self._file}:{line}:{column}: {problem}; correct the file")


def _joined(first: Any, second: Any) -> list[Any]:
    return [
        *(first if isinstance(first, list) else [first]),
        *(second if isinstance(second, list) else [second]),
    ]
