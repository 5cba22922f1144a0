"""Check that an optional extra's packages are installed."""

from collections.abc import Sequence
from importlib.util import find_spec

from models.errors import MissingPackage


def require(packages: Sequence[str], extra: str) -> None:
    """Raise an error if a package is missing, before anything imports it.

    Raises:
        MissingPackage: a package is not installed.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingPackage(f"{', '.join(missing)} {verb} not installed; pip install 'rankway[{extra}]'")
