"""``rankway check FILE...``: check a pipeline's YAML, data and models, and show how its models will run."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from models.runtimes.auto import Choice
from services.config.loading import load_config
from services.config.runtimes import choices, describe
from services.deployment.advice import (
    delta_warnings,
    idle_policies,
    log_warnings,
    release_warnings,
    scaling_warnings,
    store_warnings,
)
from services.deployment.check import Preflight
from services.errors import ConfigError, ReleaseError
from services.paths import home_directory


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of checking one file.

    Attributes:
        faults: problems that prevent the pipeline from being served, one per line.
        warnings: problems with which the pipeline can still be served, one per line.
        notes: checks that were left out on this machine, and why.
        runtimes: the chosen runtimes by model name. Empty if there are faults.
        idle_policies: autoscaling policies that would do no better than a simpler policy in this pipeline, and the
            reasons.
    """

    faults: list[str]
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runtimes: dict[str, Choice] = field(default_factory=dict)
    idle_policies: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the findings as a document for JSON."""
        runtimes = {
            name: {
                "runtime": choice.runtime.model_dump(mode="json"),
                "rank_bytes": choice.rank_bytes,
                "why": choice.why,
            }
            for name, choice in self.runtimes.items()
        }
        document = {"faults": self.faults, "warnings": self.warnings, "notes": self.notes}
        return document | {"runtimes": runtimes, "idle_policies": self.idle_policies}


def check(
    files: Annotated[list[Path], typer.Argument(help="Pipeline YAML files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a pipeline's YAML, its data, its models and runtimes.

    Open each model that can run here, and run it on one batch. Show each
    model's runtime and the reason for it. Exit with status 2 if a pipeline
    cannot be served.
    """
    findings_by_file = {str(path): _findings(path) for path in files}
    if as_json:
        typer.echo(
            json.dumps({path: findings.as_json() for path, findings in findings_by_file.items()}, indent=2)
        )
    else:
        for path, findings in findings_by_file.items():
            _print(path, findings)
    if any(findings.faults for findings in findings_by_file.values()):
        raise typer.Exit(2)


def _findings(path: Path) -> Findings:
    home = home_directory()
    try:
        config = load_config(path)
        pipeline = Preflight(config, home)
        faults = pipeline.faults(opens="all", is_served_here=False)
        if faults:
            return Findings(faults, notes=pipeline.notes)
        warnings = [
            *release_warnings(config, path, home),
            *store_warnings(pipeline),
            *log_warnings(pipeline),
            *delta_warnings(pipeline),
            *scaling_warnings(pipeline),
        ]
        return Findings([], warnings, pipeline.notes, choices(config, home), idle_policies(pipeline))
    except (ConfigError, ReleaseError) as error:
        return Findings(str(error).splitlines())


def _print(path: str, findings: Findings) -> None:
    console = Console(soft_wrap=True)
    verdict = "[red]invalid[/]" if findings.faults else "[green]ok[/]"
    console.print(f"{escape(path)}: {verdict}", highlight=False)
    lines = [f"models.{name}: {describe(choice)}" for name, choice in findings.runtimes.items()]
    lines += [
        f"autoscaling: policy {kind} would add nothing here: {why}"
        for kind, why in findings.idle_policies.items()
    ]
    lines += [f"warning: {warning}" for warning in findings.warnings]
    lines += [f"note: {note}" for note in findings.notes]
    for line in [*findings.faults, *lines]:
        console.print(f"  {line}", highlight=False, markup=False)
