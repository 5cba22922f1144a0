"""A pipeline's release history: the file ``history.yaml``. Its last name is the active release."""

from pathlib import Path

import yaml

from models.durable import write_file
from services.errors import ReleaseError
from services.locks import file_lock

_FILE = "history.yaml"
_REMEMBERED = 100


class ReleaseHistory:
    """The names of releases that were active. The file keeps the last 100 names."""

    def __init__(self, root: Path) -> None:
        """Keep the file's path in ``root``. Only ``note_active`` writes the file."""
        self._path = root / _FILE
        self._lock = root / f".{_FILE}.lock"

    def names(self) -> list[str]:
        """Return the names of releases that were active, the active one last.

        The list is empty if no staged release was activated. The pipeline then serves the data that the configuration
        names.

        Raises:
            ReleaseError: the file cannot be read.
        """
        try:
            names = yaml.safe_load(self._path.read_text())
        except FileNotFoundError:
            return []
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise ReleaseError(
                f"{self._path} cannot be read: {error}; remove it, and activate a release"
            ) from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ReleaseError(
                f"{self._path}: must be a list of release names; remove it, and activate a release"
            )
        return names

    def active(self) -> str | None:
        """Return the active release's name, or None if no staged release was activated."""
        return next(iter(self.names()[-1:]), None)

    def previous(self) -> str:
        """Return the release to which a rollback returns.

        Raises:
            ReleaseError: no other release was active before.
        """
        names = self.names()
        if len(names) < 2:
            raise ReleaseError(
                "cannot roll back: no staged release was active before the present one; activate another release"
            )
        return names[-2]

    def note_active(self, name: str, *, is_rollback: bool = False) -> None:
        """Make ``name`` the active release.

        Args:
            name: the release.
            is_rollback: if ``name`` was active just before the present release, remove the present release from the
                history instead of appending ``name``.
        """
        with file_lock(self._lock):  # if two activations come at the same time, both are kept
            names = self.names()
            if is_rollback and names[-2:-1] == [name]:
                names.pop()
            elif names[-1:] != [name]:
                names.append(name)
            write_file(self._path, yaml.safe_dump(names[-_REMEMBERED:]))
