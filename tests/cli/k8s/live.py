"""``rankway k8s scale`` on the command line, against a RayService behind an emulated API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from cli.main import root
from tests.cli.k8s.clusters import ACTIVE
from tests.cli.k8s.test_render import changed
from tests.k8s.emulation.objects import Objects

RENDERED_BOUNDS = {"cpu": (1, 50, 400), "gpu-small": (0, 100, 200), "gpu-large": (0, 0, 50)}
RAISED_BOUNDS = RENDERED_BOUNDS | {"gpu-large": (0, 0, 80)}
Change = Callable[[dict[str, Any]], Any]


class Done(NamedTuple):
    """The result of a call."""

    code: int
    out: str
    errors: str


class Live:
    """A live cluster's objects, and the command that scales it."""

    def __init__(self, objects: Objects, environment: dict[str, str], folder: Path) -> None:
        self.objects, self.environment, self.folder = objects, environment, folder

    def scale(self, change: Change, *options: str) -> Done:
        config = changed(self.folder, change)
        arguments = ["k8s", "scale", str(config), *options]
        done = CliRunner(env=self.environment).invoke(root(arguments), arguments)
        return Done(done.exit_code, done.stdout, done.stderr)

    def count(self, method: str, resource: str) -> int:
        return sum(request[:2] == (method, resource) for request in self.objects.requests)

    def set(self, group: str, **fields: Any) -> None:
        """Change a group in the active cluster, as another writer would."""

        def change(document: dict[str, Any]) -> None:
            for each in document["spec"]["workerGroupSpecs"]:
                if each["groupName"] == group:
                    each.update(fields)

        self.objects.write("rayclusters", ACTIVE, change)


def raise_large(document: dict[str, Any]) -> None:
    document["pools"]["gpu-large"]["max_nodes"] = 80
