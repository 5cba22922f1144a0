"""``rankway k8s lint``: check the objects of a kustomize build against rules that the API server does not know."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from cli.errors import FAILED, exit_on_error
from cli.k8s.kubectl import kubectl_program
from cli.k8s.policy import RULES, findings
from cli.k8s.policy.objects import Object
from services.errors import ConfigError

_STANDARD_INPUT = "-"
_BUILD_LIMIT_S = 120


def lint(
    build: Annotated[
        str,
        typer.Argument(
            help="Overlay folder, or a file with the output of `kubectl kustomize`, or - for standard input."
        ),
    ],
) -> None:
    """Check a build's objects against the policy. Exit with status 1 if there are findings."""
    console = Console(stderr=True)
    with exit_on_error(console):
        objects = _objects(_text(build), build)
    violations = findings(objects)
    for finding in violations:
        typer.echo(str(finding))
    summary = f"{len(objects)} objects, {len(RULES)} rules, {len(violations)} findings"
    console.print(summary, markup=False, highlight=False, soft_wrap=True)
    if violations:
        raise typer.Exit(FAILED)


def _text(build: str) -> str:
    """Return the build's YAML.

    Raises:
        ConfigError: the build does not exist, or kustomize fails.
    """
    if build == _STANDARD_INPUT:
        return sys.stdin.read()
    path = Path(build)
    if path.is_dir():
        return _built(path)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"BUILD: {path} cannot be read: {error}; name a readable file") from error


def _built(folder: Path) -> str:
    program = kubectl_program()
    if program is None:
        raise ConfigError(
            f"BUILD: kubectl is needed to build the folder {folder}, but was not found; install kubectl, or give a "
            f"file with the output of `kubectl kustomize`"
        )
    done = subprocess.run(
        [program, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=_BUILD_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigError(f"BUILD: {folder} does not build: {done.stderr.strip()}")
    return done.stdout


def _objects(text: str, build: str) -> Sequence[Object]:
    try:
        objects = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise ConfigError(
            f"BUILD: {build} is not YAML: {error}; give the output of `kubectl kustomize OVERLAY`"
        ) from error
    invalid = [
        each for each in objects if not isinstance(each, dict) or "kind" not in each or "metadata" not in each
    ]
    if invalid or not objects:
        raise ConfigError(
            f"BUILD: {build} contains no Kubernetes objects; give the output of `kubectl kustomize OVERLAY`"
        )
    return objects
