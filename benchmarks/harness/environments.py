"""Python environments for programs that are compared with Rankway, each with pinned versions and made on first use."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

DEFAULT_FOLDER = Path.home() / ".cache" / "rankway" / "peers"
_INSTALL_LIMIT_S = 1800.0
_COMPLETE = "complete.txt"
_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **found}))
"""


class Unavailable(Exception):
    """A program cannot be run on this machine. The text is the reason."""


def environment(requirements: Path, folder: Path = DEFAULT_FOLDER) -> Path:
    """Return the Python of an environment with these requirements, and make it if it does not exist.

    Its folder's name has a hash of the requirements. So changed requirements get a new environment, and an interrupted
    installation is repeated. Two processes that need the same environment wait for each other.

    Raises:
        Unavailable: the packages cannot be installed.
    """
    identity = f"{sys.version_info[:2]}\n{requirements.read_text()}"
    # The servers run in another working directory.
    root = folder.resolve() / f"{requirements.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    python = root / "bin" / "python"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{root}.lock"):
            if (root / _COMPLETE).exists():
                return python
            shutil.rmtree(root, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(root)])
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "-r", str(requirements)])
            (root / _COMPLETE).write_text(requirements.read_text())
    except OSError as error:
        raise Unavailable(f"its environment cannot be written: {error}") from error
    return python


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of some packages in an environment.

    Raises:
        Unavailable: a package is missing.
    """
    found: dict[str, str] = json.loads(_run([str(python), "-c", _VERSIONS, *packages]))
    return found


def _run(command: Sequence[str]) -> str:
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:4])}: {error}") from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip() and "WARNING" not in line]
        raise Unavailable(f"{' '.join(command[1:4])} failed: {' '.join(lines[-3:])[:500]}")
    return result.stdout
