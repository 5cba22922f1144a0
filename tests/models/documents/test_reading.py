from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.documents.reading import composed, line_of, read_document
from models.errors import DocumentError

TEXT = """# a comment
name: shop
units:
  main: {stages: [features,
    ranker]}
features:
- name: price
- name: age
  group: user
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("name",), 2),
        (("units", "main"), 4),
        (("units", "main", "stages", 1), 5),
        (("units", "main", "cpus"), 4),
        (("features", 1, "group"), 9),
        (("features", 7), 6),
        (("catalogue",), None),
        ((), None),
    ],
)
def test_line_is_that_of_the_field_or_of_the_nearest_part(
    location: tuple[int | str, ...], line: int | None
) -> None:
    assert line_of(composed(TEXT), location) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: {b: 1\nc: 2\n",
            ":2: cannot be read as YAML: .*that begins in line 1; correct it, or close what is open",
        ),
        ("a:\n  b: 1\n c: 2\n", ":3: cannot be read as YAML: "),
        ("a: 1\nb: 2\na: 3\n", ":3: a is given twice; remove one of them"),
        ("a: 2020-13-45\n", ": cannot be read as YAML: month must be in 1..12; correct the file"),
        ("[" * 100_000, ": cannot be read as YAML: "),
        ("a: 1\n---\nb: 2\n", ":2: cannot be read as YAML: a second document begins here; keep one"),
        (
            "a:\n\tb: 2\n",
            ":2: cannot be read as YAML: there is a tab in front of the field; indent with spaces",
        ),
        (
            "a: 1\nb: \x00\n",
            ":2: cannot be read as YAML: the control character 0x00 is not allowed; remove it",
        ),
        ("a: !!python/name:os.system\n", ":1: cannot be read as YAML: could not determine a constructor"),
    ],
)
def test_broken_yaml_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError, match=f"broken.yaml{message}") as refused:
        read_document(path)
    assert "Errno" not in str(refused.value)


def test_file_in_another_encoding_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(DocumentError, match="byte 9 is no UTF-8; save it as UTF-8"):
        read_document(path)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        _, text = read_document(path)
    except DocumentError as error:
        assert str(error).startswith(str(path))
    else:
        line_of(composed(text), ("a", 0))
