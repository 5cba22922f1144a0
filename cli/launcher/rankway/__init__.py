"""Rankway as an installed application: where its packages are, and how a process finds them.

The packages have names that other projects use too, such as ``models`` and ``services``. So a wheel keeps
them in a folder of this package that is not on Python's path. In another program ``import models`` does not
import Rankway's package.
"""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PRIVATE = _HERE / "site-packages"

PACKAGES = _PRIVATE if _PRIVATE.is_dir() else _HERE.parents[2]
"""The packages' folder: private in a wheel, the repository's root in a checkout."""


def activate() -> None:
    """Put the packages first on the path in this process and its child processes.

    Raises:
        ImportError: a package with the same name was already imported from elsewhere.
    """
    for package in PACKAGES.glob("*/__init__.py"):
        name = package.parent.name
        imported = sys.modules.get(name)
        if imported is None:
            continue
        source = getattr(imported, "__file__", None)
        if source is None or Path(source).resolve() != package:
            raise ImportError(
                f"the package {name} was imported from {source or 'elsewhere'}, but Rankway has a package of that "
                f"name; call rankway.activate() before that import, or rename the other package",
                name=name,
            )
    folder = str(PACKAGES)
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [folder, *(entry for entry in inherited if entry not in ("", folder))]
    )
