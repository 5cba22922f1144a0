"""``rankway k8s scale``: change the live RayCluster's group bounds to the bounds in the pipeline's YAML."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from cli.errors import exit_on_error
from cli.k8s.kubectl import Kubectl
from cli.k8s.live import LiveScaler, Outcome, Scaling
from cli.k8s.render import pipeline_in_pods
from cli.k8s.scaling import Group
from services.errors import ConfigError
from services.paths import home_directory


def scale(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="The RayService's namespace. Default: the namespace that kubectl uses."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The RayService's name. Default: the pipeline's name.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Context in the kubectl configuration. Default: its current context.")
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Scale an upgrade's pending cluster, not the active one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Patch without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Change the worker groups in the live RayCluster to match a pipeline's pools.

    This sets the minimum and maximum nodes and adds tolerations. KubeRay ignores
    changes to these fields in a RayService while its cluster runs. The difference
    is shown first.
    """
    console = Console(stderr=True)
    shown = Console(stderr=as_json)

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    def agree(scaling: Scaling) -> bool:
        for line in _lines(scaling, wanted):
            shown.print(line, markup=False, highlight=False, soft_wrap=True)
        return yes or typer.confirm("Patch it?", err=True)

    with exit_on_error(console):
        pipeline, wanted = _wanted(config)
        scaler = LiveScaler(Kubectl.find(context, namespace), name or pipeline, wanted, pending=pending)
        outcome: Outcome | Literal["dry run"] = "dry run"
        if dry_run:
            scaling = scaler.read()
        elif yes or sys.stdin.isatty():
            outcome, scaling = scaler.scale(agree, tell)
        else:
            raise ConfigError(
                "--yes: needed, because standard input is not a terminal and cannot confirm; add --yes or --dry-run"
            )
    if as_json:
        typer.echo(json.dumps(_document(scaling, wanted, outcome), indent=2))
    elif outcome in ("dry run", "same"):
        for line in _lines(scaling, wanted):
            shown.print(line, markup=False, highlight=False, soft_wrap=True)
    if outcome == "patched":
        tell(f"RayCluster {scaling.cluster}: patched")
    if outcome == "declined":
        tell(f"RayCluster {scaling.cluster}: not patched")
        raise typer.Exit(1)


def _wanted(config: Path) -> tuple[str, list[Group]]:
    """Return the pipeline's name and its rendered groups.

    Raises:
        ConfigError, SpecError: as for ``rankway k8s render``.
    """
    from cli.k8s.groups import used_pools, worker_group

    pipeline = pipeline_in_pods(config, home_directory())
    return pipeline.name, [worker_group(pipeline, pool) for pool in used_pools(pipeline)]


def _lines(scaling: Scaling, wanted: Sequence[Group]) -> Iterator[str]:
    service = scaling.service
    yield f"RayCluster {scaling.cluster} of RayService {service.name}, namespace {service.namespace}"
    for group in scaling.groups:
        changes = [
            f"{change.field} {_short(change.live)} -> {_short(change.wanted)}" for change in group.changes
        ]
        yield f"  {group.name}, {group.nodes} nodes: {', '.join(changes) or 'no difference'}"
        if group.kept:
            yield f"    kept, because only the live cluster has it: {_short(group.kept)}"
    yield from (f"note: {note}" for note in _notes(scaling, wanted))


def _notes(scaling: Scaling, wanted: Sequence[Group]) -> Iterator[str]:
    """Yield the steps that the user still has to do. The patch changes neither the RayService nor a pending cluster."""
    service = scaling.service
    applied = {group["groupName"]: group for group in service.applied}
    behind = [
        f"{group['groupName']} {field} {applied[group['groupName']].get(field)}"
        for group in wanted
        if group["groupName"] in applied
        for field in ("minReplicas", "maxReplicas")
        if applied[group["groupName"]].get(field) != group[field]
    ]
    if behind:
        yield (
            f"the RayService still has {', '.join(behind)}, which the policy and the next cluster use; "
            f"also render and apply the RayService"
        )
    if service.pending not in (None, scaling.cluster):
        yield (
            f"an upgrade is in progress, and RayCluster {service.pending} will take over with its own bounds; "
            f"also scale this cluster, with --pending"
        )


def _short(value: Any) -> str:
    return str(value) if isinstance(value, int) else json.dumps(value)


def _document(scaling: Scaling, wanted: Sequence[Group], outcome: str) -> dict[str, Any]:
    service = scaling.service
    return {
        "namespace": service.namespace,
        "service": service.name,
        "cluster": scaling.cluster,
        "active": service.active,
        "pending": service.pending,
        "groups": [
            {
                "group": g.name,
                "nodes": g.nodes,
                "changes": [asdict(c) for c in g.changes],
                "kept": list(g.kept),
            }
            for g in scaling.groups
        ],
        "notes": list(_notes(scaling, wanted)),
        "outcome": outcome,
    }
