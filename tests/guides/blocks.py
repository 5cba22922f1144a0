"""The code blocks of a Markdown page."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block. ``title`` is the file to save it in, or an empty string."""

    language: str
    title: str
    text: str

    @property
    def stops(self) -> bool:
        """Whether the reader presses Ctrl-C in the terminal of the service."""
        return self.text == "Ctrl-C\n"

    @property
    def serves(self) -> bool:
        """Whether the command runs until it is stopped."""
        return self.text.startswith("rankway serve ")


def blocks(page: Path) -> list[Block]:
    """Return a page's code blocks, in order."""
    return [Block(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]
