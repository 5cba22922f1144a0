"""A code hash depends on the syntax tree, not on comments and docstrings."""

from pathlib import Path

import pytest

from models.code_identity import hash_of_code

PLAIN = '''"""Doc."""
LIMIT = 3
"""How many."""


class Box:
    """A box."""

    def size(self):
        """Give it."""
        return LIMIT
'''


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ("# a note\n" + PLAIN, True),
        (PLAIN.replace("Give it.", "Give the size.").replace("How many.", "At most."), True),
        (PLAIN.replace('"""Give it."""\n        ', ""), True),
        (PLAIN.replace("return LIMIT", "return  (LIMIT)"), True),
        (PLAIN.replace("3", "4"), False),
        (PLAIN.replace("return LIMIT", 'return "LIMIT"'), False),
        (PLAIN.replace("size", "length"), False),
        (PLAIN + "LIMIT += 1\n", False),
    ],
)
def test_hash_changes_only_with_the_meaning_of_the_code(tmp_path: Path, changed: str, same: bool) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(PLAIN)
    second.write_text(changed)
    assert (hash_of_code([first]) == hash_of_code([second])) is same


def test_hash_covers_all_files_even_without_statements(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text('"""Nothing but words."""\n')
    second.write_text(PLAIN)
    assert len({hash_of_code(files) for files in ([first], [second], [first, second])}) == 3
