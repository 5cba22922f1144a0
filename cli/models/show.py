"""``rankway models show FOLDER``: an artifact's manifest, its precision, and its compiled packages."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from cli.errors import exit_on_error
from models.artifact import Artifact
from models.atomic_directory import settled
from models.compress.measuring.sizes import size_of
from models.errors import MissingPackage
from models.runtimes.precision import precisions
from models.runtimes.pytorch.compiled.packages import Package, packages_of
from models.runtimes.pytorch.compiled.target import Target

_WIDTH = 120
_SHORT = 120  # as JSON, whose quotes YAML does not need


class _Lines(yaml.SafeDumper):
    """Writes short mappings and lists on one line, such as an input. A model may have thirty of them."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """Return the mapping's node."""
        return super().represent_mapping(tag, mapping, _is_short(mapping))

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        """Return the list's node."""
        is_plain = not any(isinstance(each, dict | list) for each in sequence)
        return super().represent_sequence(tag, sequence, is_plain or _is_short(sequence))


def _is_short(data: Any) -> bool:
    return len(json.dumps(data)) <= _SHORT


def show(
    folder: Annotated[Path, typer.Argument(help="Artifact folder.")],
) -> None:
    """Check an artifact's version and files against their hashes. Print its description as YAML.

    It has the inputs, the outputs, the precision and the lineage, and the packages that
    `rankway models compile` made, with the machine for which each was compiled. A compressed
    model has its numbers of parameters too.
    """
    with exit_on_error(Console(stderr=True), OSError):
        artifact = Artifact.load(folder)
        artifact.check_version(folder)
        root = settled(folder)
        shown: dict[str, Any] = artifact.model_dump(mode="json", exclude_none=True)
        shown["precision"] = precisions(root, artifact)
        if artifact.lineage.get("compression"):
            shown["parameters"] = {name: size_of(root / name).parameters for name in shown["precision"]}
        packages = packages_of(root)
        if packages:
            shown["compiled"] = [_row(path, package, artifact) for path, package in packages.items()]
    typer.echo(yaml.dump(shown, Dumper=_Lines, sort_keys=False, width=_WIDTH), nl=False)


def _row(path: Path, package: Package, artifact: Artifact) -> dict[str, Any]:
    target = package.target
    return {
        "folder": f"{path.parent.name}/{path.name}",
        "artifact": package.artifact,
        "torch": target.torch,
        "compiler": package.compiler,
        "device": target.device,
        "machine": target.machine,
        "cpu": " ".join(target.cpu),
        "threads": target.threads,
        "runs_here": _runs_here(package, artifact),
    }


def _runs_here(package: Package, artifact: Artifact) -> bool | str:
    """Return True, or the reason for which this machine cannot load the package.

    The device is not compared, because that would import PyTorch.
    """
    target = package.target
    if package.artifact != artifact.version:
        return f"no, compiled from the version {package.artifact}"
    try:
        here = Target.here(threads=target.threads, device=target.device)
    except MissingPackage:
        return "no, torch is not installed"
    differences = here.differences(target)
    return f"no, compiled for {'; '.join(differences)}" if differences else True
