"""The ``rankway ask`` command that ``rankway serve`` prints."""

import shlex
import sys
from pathlib import Path

from services.config.units import HttpConfig


def ask_command(config: Path, written: HttpConfig, served: HttpConfig) -> str:
    """Return a command that asks the service. It works in another terminal, in the current folder.

    Args:
        config: the pipeline's file.
        written: the address in the file.
        served: the address on which the service listens.
    """
    words = [_own_command(), "ask", str(config)]
    if served.host != written.host:
        words += ["--host", served.host]
    if served.port != written.port:
        words += ["--port", str(served.port)]
    return shlex.join(words)


def _own_command() -> str:
    """Return how to call ``rankway`` even if its environment is not activated in the other terminal."""
    command = Path(sys.argv[0])
    if command.name != "rankway" or not command.is_absolute():
        return "rankway"
    return str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command)
