"""A reader who saves the files of a guide and runs its commands, block by block."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.guides.blocks import blocks
from tests.services.processes import READY, ROOT, free_port, started

GUIDES = ROOT / "docs" / "guides"
_BLOCK_LIMIT_S = 240
_SHOWN_PORT = "8000"


@dataclass
class Reader:
    """Follows guides in one folder. The service listens on a free port instead of the port in the guides.

    Attributes:
        folder: the current directory for all commands.
        home: the data home.
        environment: the other environment variables that are set.
    """

    folder: Path
    home: Path
    environment: Mapping[str, str]
    _port: int = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)

    def follow(self, name: str) -> list[str]:
        """Save a guide's files and run its commands. Return the output of each block that ends.

        A service that the guide starts runs until ``stop`` is called.
        """
        outputs = []
        for block in blocks(GUIDES / name):
            if block.title:
                path = self.folder / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif block.stops:
                self.stop()
            elif block.language == "bash" and block.serves:
                self._serve(block.text)
            elif block.language == "bash":
                outputs.append(self._run(block.text))
        return outputs

    def stop(self) -> None:
        """Stop the service, as Ctrl-C does."""
        self._running.close()

    def _run(self, text: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", text.replace(f":{_SHOWN_PORT}/", f":{self._port}/")]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "RANKWAY_HOME": str(self.home), **self.environment},
            capture_output=True,
            text=True,
            timeout=_BLOCK_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{text}\nexit status {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def _serve(self, text: str) -> None:
        _, *arguments = text.split()
        command = ["-m", "cli.main", *arguments, "--port", str(self._port)]
        service = self._running.enter_context(
            started(command, self._port, self.home, self.environment, folder=self.folder)
        )
        service.wait_for(READY)


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Yield a reader with an empty data home. pip installs into the reader's own folder, without network."""
    site, work = folder / "site", folder / "work"
    work.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads 0 as "no isolation"
    }
    following = Reader(work, folder / "home", environment)
    try:
        yield following
    finally:
        following.stop()
