"""``rankway log``: reports about a pipeline's served log."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.errors import exit_on_error
from services.config.loading import load_config
from services.offline.skew import SkewReport, skew_report
from services.paths import home_directory

app = typer.Typer(help="Compare logged features with values computed again.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Compare logged features with values computed again."""


@app.command("skew")
def skew(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    paths: Annotated[
        list[Path], typer.Argument(help="Served log: Parquet files, or folders of Parquet files.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare logged features with values computed again as of each request's time."""
    console = Console(stderr=True)
    with exit_on_error(console), console.status("comparing"):
        report = skew_report(load_config(config), home_directory(), paths)
    if as_json:
        typer.echo(json.dumps(_as_json(report), indent=2))
    else:
        _show(report)


def _show(report: SkewReport) -> None:
    table = Table("feature", "compared", "differing", "share", "max difference")
    for column in table.columns[1:]:
        column.justify = "right"
    for each in report.features:
        numbers = (f"{each.values}", f"{each.differing}", f"{each.share:.2%}", f"{each.max_difference:.6g}")
        table.add_row(each.feature, *numbers, style="bold" if each.differing else None)
    console = Console()
    console.print(table)
    console.print(
        f"{report.lists} lists compared. {report.unread} lists not compared, because the store did not return their "
        f"users' rows"
    )


def _as_json(report: SkewReport) -> dict[str, object]:
    features = [{**asdict(each), "share": each.share} for each in report.features]
    return {"lists": report.lists, "unread": report.unread, "features": features}
