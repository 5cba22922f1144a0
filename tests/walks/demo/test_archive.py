import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walks.demo.archive import ARCHIVE, read_archive, write_archive
from walks.errors import BadArchiveError

_PARTS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


def tar_with(*members: tuple[str, bytes]) -> bytes:
    """Return a compressed tar file. A member's type is that of `tarfile`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    return gzip.compress(buffer.getvalue())


@settings(max_examples=30)
@given(st.dictionaries(st.tuples(_PARTS, _PARTS), st.binary(max_size=2000), max_size=5))
def test_files_come_back_as_they_were_and_the_same_files_give_the_same_bytes(
    content: dict[tuple[str, str], bytes],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for turn, parts in enumerate((list(content), list(reversed(content)))):
            for folder, file in parts:
                path = root / str(turn) / folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content[folder, file])
            (root / str(turn)).mkdir(exist_ok=True)
            write_archive(root / str(turn), root / f"{turn}.tar.gz")
        first, again = read_archive(root / "0.tar.gz"), read_archive(root / "1.tar.gz")
    assert first == again
    assert first[1] == {f"{folder}/{file}": data for (folder, file), data in content.items()}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip",
        ARCHIVE.read_bytes()[:-1000],
        gzip.compress(b"no tar" * 1000),
        gzip.compress(gzip.decompress(ARCHIVE.read_bytes())[:-200_000]),
        tar_with(("../outside", tarfile.REGTYPE)),
        tar_with(("/outside", tarfile.REGTYPE)),
        tar_with(("link", tarfile.SYMTYPE)),
    ],
    ids=["empty", "other", "cut", "no tar", "cut tar", "above", "absolute", "link"],
)
def test_a_damaged_archive_is_refused_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "world.tar.gz"
    archive.write_bytes(data)
    with pytest.raises(BadArchiveError, match=r"cannot be read: .*restore the file from the repository"):
        read_archive(archive)


def test_a_missing_archive_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(BadArchiveError, match=r"nowhere\.tar\.gz cannot be read"):
        read_archive(tmp_path / "nowhere.tar.gz")
