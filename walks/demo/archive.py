"""The archive that ships: one tar file with the demo's world and models.

The same content always gives the same bytes: names are sorted, and times, owners and modes are fixed.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from pathlib import Path

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


def read_archive(archive: Path) -> tuple[str, bytes]:
    """Read an archive completely.

    Returns:
        The sha256 of the archive in hex, and the tar file in it.

    Raises:
        BadArchiveError: the archive is missing or damaged.
    """
    try:
        data = archive.read_bytes()
        return hashlib.sha256(data).hexdigest(), gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(archive, error) from error


def extract(archive: Path, tar_bytes: bytes, folder: Path) -> None:
    """Extract an archive that ``read_archive`` has read into a folder.

    Raises:
        BadArchiveError: the archive is damaged, or has a member outside the folder.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(tar_bytes)) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise _damaged(archive, error) from error


def sizes_of(archive: Path, tar_bytes: bytes) -> dict[str, int]:
    """Return the size in bytes of every file in an archive, by name."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar_bytes)) as tar:
            return {member.name: member.size for member in tar if member.isfile()}
    except tarfile.TarError as error:
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> BadArchiveError:
    return BadArchiveError(
        f"the demo's archive {archive} cannot be read: {error}; restore the file from the repository, "
        "or write it again with `make demo-world`"
    )
