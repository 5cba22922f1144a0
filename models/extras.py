"""The packages that an extra of the installation brings, and an error that names the extra if one is missing."""

from collections.abc import Sequence
from importlib.util import find_spec

from models.errors import MissingPackage

RUNTIMES: dict[str, tuple[Sequence[str], str]] = {
    "torch": (["torch"], "torch"),
    "accelerate": (["torch", "accelerate"], "sharding"),
    "deepspeed": (["torch", "accelerate", "deepspeed"], "sharding"),
}
"""By kind of runtime: the packages that it imports, and the extra that brings them."""


def require(packages: Sequence[str], extra: str) -> None:
    """Refuse if a package is missing, before anything imports it.

    Raises:
        MissingPackage: a package is not installed.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingPackage(f"{', '.join(missing)} {verb} not installed; pip install 'rankway[{extra}]'")


def require_runtime(kind: str) -> None:
    """Refuse if a package that runtimes of this kind import is missing.

    Raises:
        MissingPackage: as ``require``.
    """
    if kind in RUNTIMES:
        require(*RUNTIMES[kind])
