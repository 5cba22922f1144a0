"""The archive that ships: one tar file with the demo's world and models.

The same content always gives the same bytes: names are sorted, and times, owners and modes are fixed.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from walks.errors import BadArchiveError

ARCHIVE = Path(__file__).with_name("world.tar.gz")
_MODE = 0o644


def write_archive(folder: Path, archive: Path) -> None:
    """Write all files in a folder into an archive, with names relative to the folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            member.size, member.mode = path.stat().st_size, _MODE
            with path.open("rb") as file:
                tar.addfile(member, file)
    archive.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def read_archive(archive: Path) -> tuple[str, dict[str, bytes]]:
    """Read an archive completely.

    Returns:
        The sha256 of the archive in hex, and the content of every file in it, by name.

    Raises:
        BadArchiveError: the archive is missing or damaged, or has a file outside its folder.
    """
    try:
        data = archive.read_bytes()
        files = _files_in(gzip.decompress(data))
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise BadArchiveError(
            f"the demo's archive {archive} cannot be read: {error}; restore the file from the repository, "
            "or write it again with `make demo-world`"
        ) from error
    return hashlib.sha256(data).hexdigest(), files


def _files_in(tar_bytes: bytes) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(tar_bytes), mode="r:") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or name.is_absolute() or ".." in name.parts:
                raise ValueError(f"expected files inside the folder, got {member.name!r}")
            files[member.name] = content.read()
    return files
