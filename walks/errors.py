"""Exceptions of the walks package.

WalksError
├── MissingDataError    a data wheel is not installed, or lacks the file
├── BadMapError         the map cannot be read, or has nothing to walk on
├── BadSeriesError      the weather series has gaps, wrong columns or absurd values
├── BadModelError       the sentence encoder cannot be loaded
├── TooFewRoutesError   the map is too small for the configured number of routes
├── BadArchiveError     the demo's archive is missing or damaged
├── NoWorldError        a command needs a world, but none is built or this code cannot read it
└── UnknownRouteError   no route has the requested id

Every message names the object, the value and the remedy.
"""


class WalksError(Exception):
    """Base class for errors raised while the walks world is built or read."""


class MissingDataError(WalksError):
    """A data wheel is not installed, or lacks a file."""


class BadMapError(WalksError):
    """The street map cannot be used."""


class BadSeriesError(WalksError):
    """The hourly weather and traffic series cannot be used."""


class TooFewRoutesError(WalksError):
    """Route generation could not make as many distinct routes as the preset asks for."""


class BadModelError(WalksError):
    """The sentence encoder's files cannot be used."""


class BadArchiveError(WalksError):
    """The archive of the demo cannot be read."""


class NoWorldError(WalksError):
    """A command needs a built world, but there is none, or this code cannot read it."""


class UnknownRouteError(WalksError):
    """The world has no route with the requested id."""
