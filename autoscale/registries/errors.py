"""Errors of the registries package.

RegistryError
├── UnknownKind    no built-in entry and no installed package has that name
├── Untrusted      the configuration names code outside the tree and does not trust it
└── LoadFailure    the code of an entry is missing, cannot be imported or is of another type

A message reads ``<problem>, got <value>; <remedy>``. The code that catches it adds the field at the front.
"""

PLUGIN_ERRORS = (Exception, SystemExit)
"""Exceptions that the code of another package may raise. KeyboardInterrupt is not among them."""


class RegistryError(Exception):
    """Root of the package's errors."""


class UnknownKind(RegistryError):
    """No built-in entry and no installed package has that name."""


class Untrusted(RegistryError):
    """The configuration names code outside the tree and does not trust it."""


class LoadFailure(RegistryError):
    """The code of an entry cannot be loaded."""
