"""The history of a pipeline's active releases: the file ``history.yaml``, whose last name is the active release."""

from pathlib import Path

import yaml

from models.durable import write_file
from services.errors import ReleaseError
from services.locks import alone

_FILE = "history.yaml"
_REMEMBERED = 100


class ReleaseHistory:
    """The names of the releases that were active, in a folder."""

    def __init__(self, root: Path) -> None:
        """Write nothing before a release is made the active one."""
        self._path = root / _FILE
        self._lock = root / f".{_FILE}.lock"

    def names(self) -> list[str]:
        """Return the names that were active, the present one last; empty while the configuration's own data are served.

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
        """Return the active release's name; None while the configuration's own data are served."""
        return next(iter(self.names()[-1:]), None)

    def previous(self) -> str:
        """Return the release that a rollback goes back to.

        Raises:
            ReleaseError: none was active before.
        """
        names = self.names()
        if len(names) < 2:
            raise ReleaseError(
                "cannot roll back: no staged release was active before the present one; activate another release"
            )
        return names[-2]

    def note_active(self, name: str, *, is_rollback: bool = False) -> None:
        """Make ``name`` the active one; a rollback to the one before takes the present one out of the history."""
        with alone(self._lock):  # two activations at once are both remembered
            names = self.names()
            if is_rollback and names[-2:-1] == [name]:
                names.pop()
            elif names[-1:] != [name]:
                names.append(name)
            write_file(self._path, yaml.safe_dump(names[-_REMEMBERED:]))
