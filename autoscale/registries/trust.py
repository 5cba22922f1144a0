"""Trust: a configuration that names external code must list the code's package under ``trust``.

The list applies while the configuration is validated. Code from packages that are not listed is rejected. Without a
list nothing is trusted. Therefore a caller that forgets to pass a list rejects plug-ins instead of loading them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import Field

from autoscale.registries.errors import Untrusted

NAME = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
Package = Annotated[str, Field(pattern=f"^{NAME}$")]
"""The import name of a package, such as ``acme`` or ``acme.ranking``. It includes the packages inside it."""
_trusted: ContextVar[tuple[str, ...]] = ContextVar("trusted", default=())


@contextmanager
def trusting(packages: Any) -> Iterator[None]:
    """Trust these packages and no others inside the ``with`` block.

    ``packages`` may come from a file that is not validated yet. Values that are not names in a list are ignored.
    """
    listed = packages if isinstance(packages, list | tuple) else ()
    token = _trusted.set(tuple(name for name in listed if isinstance(name, str) and re.fullmatch(NAME, name)))
    try:
        yield
    finally:
        _trusted.reset(token)


def refuse_untrusted(target: str) -> None:
    """Check that the target ("package.module:attribute") is in a trusted package.

    Raises:
        Untrusted: it is in another package.
    """
    module = target.partition(":")[0]
    if not any(f"{module}.".startswith(f"{package}.") for package in _trusted.get()):
        package = module.partition(".")[0]
        raise Untrusted(
            f"the configuration does not trust the package {package}, got {target!r}; add {package} to the list trust "
            f"if you trust this package"
        )
