"""Errors of the registries package.

RegistryError
├── UnknownKind    no built-in entry and no installed package has that name
├── Untrusted      the configuration names code outside the tree and does not trust it
└── LoadFailure    an entry's code is missing, cannot be imported or has another type

A message reads ``<problem>, got <value>; <remedy>``. The code that catches it adds the field at the front.
"""

PLUGIN_ERRORS = (Exception, SystemExit)
"""Exceptions that another package's code may raise. KeyboardInterrupt is not among them."""


class RegistryError(Exception):
    """Root of the package's errors."""


class UnknownKind(RegistryError):
    """No built-in entry and no installed package has that name."""


class Untrusted(RegistryError):
    """The configuration names code outside the tree and does not trust it."""


class LoadFailure(RegistryError):
    """An entry's code cannot be loaded."""
