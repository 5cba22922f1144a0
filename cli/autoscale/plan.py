"""``rankway autoscale plan``: the nodes for a load, and their cost."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from autoscale.planner.planner import Plan
from autoscale.planner.planner import plan as make_plan
from autoscale.planner.provisioning import PlanOptions
from autoscale.planner.results import Provision
from cli.errors import exit_on_error
from services.autoscaling.spec import spec_of
from services.config.loading import load_config
from services.paths import home_directory


def plan(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file, with profiles and prices.")],
    requests_per_day: Annotated[float, typer.Option(help="Mean requests per day.")],
    peak_factor: Annotated[float, typer.Option(help="Peak request rate, as a multiple of the mean.")] = 4.0,
    zones: Annotated[
        int, typer.Option(help="Number of availability zones. Each gets one spare node per pool.")
    ] = 3,
    survive_zone: Annotated[
        bool, typer.Option(help="Size the zones so that the remaining zones serve the peak if one is lost.")
    ] = False,
    replicas_per_cell: Annotated[
        int, typer.Option(help="Maximum replicas in a cell, which is one Ray cluster.")
    ] = 2048,
    nodes_per_cell: Annotated[
        int, typer.Option(help="Maximum nodes in a cell, which is one Ray cluster.")
    ] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plan nodes by pool, cells and costs for a load, and for 10 and 100 times that load."""
    console = Console(stderr=True)
    try:
        options = PlanOptions(
            requests_per_day=requests_per_day,
            peak_factor=peak_factor,
            zones=zones,
            survive_zone=survive_zone,
            replicas_per_cell=replicas_per_cell,
            nodes_per_cell=nodes_per_cell,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-")
        raise typer.BadParameter(f"--{name}: {fault['msg']}, got {fault['input']}") from None
    with exit_on_error(console), console.status("planning"):
        result = make_plan(spec_of(load_config(config), home_directory()), options)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
    else:
        _show(result)


def _show(result: Plan) -> None:
    console, size = Console(), result.sized
    units = Table(
        "unit", "replicas", "requests/s per replica", "utilisation", "share of work", "share of cost"
    )
    pools = Table("pool", "nodes", "spare nodes", "cost per day", "cost per year")
    growth = Table(
        "requests per day", "peak requests/s", "cells", "nodes", "cost per day", "cost per day at mean load"
    )
    for table in (units, pools, growth):
        for column in table.columns[1:]:
            column.justify = "right"
    for name, unit in size.units.items():
        rate = unit.requests_per_s_of_a_replica
        used = f"{rate / unit.saturated_requests_per_s:.0%}"
        units.add_row(
            name, f"{unit.replicas:,}", f"{rate:,.1f}", used, f"{unit.share:.0%}", f"{unit.share_of_cost:.0%}"
        )
    for name, pool in size.pools.items():
        numbers = (f"{pool.nodes:,}", f"{pool.spare:,}", f"{pool.cost_per_day:,.0f}")
        pools.add_row(name, *numbers, f"{365 * pool.cost_per_day:,.0f}")
    for load in (size, *result.growth):
        growth.add_row(*_load(load))
    for table in (units, pools, growth):
        console.print(table)
    console.print(f"Bottleneck: {result.bottleneck}.", markup=False, highlight=False, soft_wrap=True)
    for note in result.notes:
        console.print(f"Note: {note}.", markup=False, highlight=False, soft_wrap=True)


def _load(load: Provision) -> tuple[str, ...]:
    return (
        f"{load.requests_per_day:.3g}",
        f"{load.peak_requests_per_s:,.0f}",
        f"{load.cells:,}",
        f"{load.nodes:,}",
        f"{load.cost_per_day:,.0f}",
        f"{load.cost_per_day_at_mean:,.0f}",
    )
