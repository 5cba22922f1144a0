"""Exceptions of the walks package.

WalksError
├── MissingDataError    a data wheel is not installed, or lacks the file
├── BadMapError         the map cannot be read, or holds nothing to walk on
├── BadSeriesError      the weather series has holes, wrong columns or absurd values
├── BadModelError       the sentence encoder cannot be loaded
├── TooFewRoutesError   the map is too small for the number of routes wanted
├── NoWorldError        no world is built where one is wanted, or it is of another make
└── UnknownRouteError   no route has the id asked for

Every message names the thing, the value, and the remedy.
"""


class WalksError(Exception):
    """Base of all errors raised while the walks world is built or read."""


class MissingDataError(WalksError):
    """A file that comes in a data wheel is not there."""


class BadMapError(WalksError):
    """The street map cannot be used."""


class BadSeriesError(WalksError):
    """The hourly weather and traffic series cannot be used."""


class TooFewRoutesError(WalksError):
    """Route generation could not make as many distinct routes as the preset asks for."""


class BadModelError(WalksError):
    """The sentence encoder's files cannot be used."""


class NoWorldError(WalksError):
    """A command needs a built world, and there is none, or one that this code cannot read."""


class UnknownRouteError(WalksError):
    """No route of the world has the id asked for."""
