"""Refuse a commit with a long subject. Git's hook commit-msg calls it with the file of the message."""

import sys
from itertools import takewhile
from pathlib import Path

LIMIT = 72
_SQUASHED = ("fixup!", "squash!", "amend!")


def subject_of(message: str) -> str:
    """Return the subject as git log shows it: the first paragraph on one line, without comments."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("#")]
    return " ".join(takewhile(bool, "\n".join(lines).strip().split("\n")))


def main(arguments: list[str]) -> int:
    """Return 1 if the subject of the message in the file is too long."""
    subject = subject_of(Path(arguments[0]).read_text(encoding="utf-8", errors="replace"))
    if len(subject) <= LIMIT or subject.startswith(_SQUASHED):
        return 0
    sys.stderr.write(
        f"subject: it has {len(subject)} characters, at most {LIMIT} are allowed, got {subject!r}; shorten it, and "
        f"put the reasons into a paragraph of their own\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
