"""A parser of Vespa's schema language, in which .sd and .profile files are written.

The language is a tree of blocks. A statement is a block, ``head { ... }``, or a property, ``head: value``, or a head
alone. The parser knows no keywords, except those of blocks whose content is an expression.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from services.errors import ConfigError

_RAW = ("expression", "match-features", "summary-features", "rank-features", "indexing")
"""Blocks whose content is kept as text, because braces in it are parts of expressions."""
_PAIRS = {"(": ")", "{": "}", "[": "]"}
_DEPTH_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a schema.

    Attributes:
        head: its words, such as ``rank-profile base inherits default``.
        value: the text after the colon, or the content of a block that is kept as text.
        body: the statements inside a block.
        line: its line in the file, from 1.
    """

    head: str
    value: str = ""
    body: tuple["Statement", ...] = ()
    line: int = field(default=1, compare=False)

    @property
    def keyword(self) -> str:
        """The first word of the head."""
        return self.head.split(maxsplit=1)[0] if self.head else ""

    @property
    def arguments(self) -> str:
        """The head without its first word."""
        return self.head[len(self.keyword) :].strip()

    def all(self, keyword: str) -> Iterator["Statement"]:
        """Yield the statements inside that begin with a keyword."""
        return (inner for inner in self.body if inner.keyword == keyword)

    def text(self, keyword: str, default: str = "") -> str:
        """Return the value of the last property with this keyword."""
        return next((inner.value for inner in reversed(self.body) if inner.keyword == keyword), default)


def parsed(text: str, file: str) -> tuple[Statement, ...]:
    """Return the statements of a file.

    Args:
        text: of a .sd or .profile file.
        file: its name, for errors.

    Raises:
        ConfigError: a brace is missing or too many. The error has the line.
    """
    return _Parser(_without_comments(text), file).statements(is_inner=False, depth=0)


def _without_comments(text: str) -> str:
    """Return the text with spaces instead of comments, so that positions stay the same."""
    out, quote, comment = [], "", False
    for char, before in zip(text, " " + text, strict=False):
        if char == "\n":
            quote, comment = "", False
        elif not comment and quote:
            quote = "" if char == quote and before != "\\" else quote
        elif not comment and char == '"':
            quote = char
        elif char == "#":
            comment = True
        out.append(" " if comment else char)
    return "".join(out)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._text, self._file, self._at = text, file, 0
        self._newlines = [at for at, char in enumerate(text) if char == "\n"]

    def statements(self, *, is_inner: bool, depth: int) -> tuple[Statement, ...]:
        if depth > _DEPTH_LIMIT:
            self._fail(f"expected at most {_DEPTH_LIMIT} blocks inside each other", self._at)
        found, start = list[Statement](), self._at
        while True:
            self._skip_spaces()
            if self._at == len(self._text):
                if is_inner:
                    self._fail("the block has no closing brace", start)
                return tuple(found)
            if self._text[self._at] == "}":
                if not is_inner:
                    self._fail("this brace closes no block", self._at)
                self._at += 1
                return tuple(found)
            found.append(self._statement(depth))

    def _statement(self, depth: int) -> Statement:
        start = self._at
        head = self._until(":{}\n").strip()
        end = self._text[self._at : self._at + 1]
        if end == "\n" and self._block_follows():
            end = "{"
        if end == ":":
            self._at += 1
            return Statement(head, self._value(), line=self._line(start))
        if end == "{":
            self._at += 1
            if head.split(maxsplit=1)[:1] in [[keyword] for keyword in _RAW]:
                return Statement(head, self._raw(start), line=self._line(start))
            return Statement(head, "", self.statements(is_inner=True, depth=depth + 1), self._line(start))
        return Statement(head, line=self._line(start))

    def _block_follows(self) -> bool:
        """Return whether the next line begins with an opening brace, and go there."""
        here = self._at
        self._skip_spaces()
        if self._text[self._at : self._at + 1] == "{":
            return True
        self._at = here
        return False

    def _value(self) -> str:
        """Read up to the end of the line, or further if a bracket is open. A brace that was not opened ends it."""
        return self._until("}\n").strip()

    def _raw(self, start: int) -> str:
        text = self._until("}")
        if self._at == len(self._text):
            self._fail("the block has no closing brace", start)
        self._at += 1
        return text.strip()

    def _until(self, ends: str) -> str:
        """Return the text up to one of the characters, outside of quotes and brackets."""
        start, quoted = self._at, False
        open_brackets: list[int] = []
        opens = set(_PAIRS) - set(ends)
        while self._at < len(self._text):
            char = self._text[self._at]
            if quoted:
                quoted = char not in '"\n' or (char == '"' and self._text[self._at - 1] == "\\")
            elif char == '"':
                quoted = True
            elif not open_brackets and char in ends:
                break
            elif char in opens or (open_brackets and char in _PAIRS):
                open_brackets.append(self._at)
            elif (
                open_brackets and char in _PAIRS.values() and char != _PAIRS[self._text[open_brackets.pop()]]
            ):
                self._fail(f"expected another closing bracket, got {char}", start)
            self._at += 1
        if open_brackets:
            self._fail("a bracket is not closed", open_brackets[-1])
        return self._text[start : self._at]

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _line(self, at: int) -> int:
        return bisect_left(self._newlines, at) + 1

    def _fail(self, problem: str, at: int) -> NoReturn:
        raise ConfigError(f"{self._file}:{self._line(at)}: {problem}; correct the file")
