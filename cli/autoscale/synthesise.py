"""``rankway autoscale synthesise``: make a trace from real series."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autoscale.traces.measured_series import read_bursts, read_hires
from autoscale.traces.synthesis import Shape, provenance
from autoscale.traces.synthesis import synthesise as make
from autoscale.traces.writing import write_bins
from cli.autoscale.data import HIRES, LICENCE, PURCHASES
from cli.errors import exit_on_error
from models.datasets.wheels import locate


def synthesise(
    path: Annotated[Path, typer.Argument(help="Trace to write, a .csv or .parquet file.")],
    requests_per_day: Annotated[float, typer.Option(help="Mean requests per day.")],
    day: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="First day of the trace, from 2010-09-21 to 2019-08-31."),
    ],
    days: Annotated[int, typer.Option(min=1, max=366, help="Length of the trace in days.")] = 1,
    shape: Annotated[
        Shape,
        typer.Option(
            help="Shape of a day. hires: like the bike hires. walks: with peaks at lunch and in the evening."
        ),
    ] = "hires",
    candidates: Annotated[float, typer.Option(help="Mean candidates per request.")] = 200.0,
    candidates_cv: Annotated[
        float, typer.Option(help="Coefficient of variation of the candidates per request.")
    ] = 0.0,
    burstiness: Annotated[
        float,
        typer.Option(help="Strength of random swings in the rate, 0 to 3. 0: none. 1: as in the purchases."),
    ] = 0.3,
    step_s: Annotated[float, typer.Option(help="Bin width in seconds.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a trace from hourly bike hires and bursts of purchases. See docs/planning.md."""
    console = Console(stderr=True)
    with exit_on_error(console), console.status("reading the series"):
        bursts = read_bursts(locate(PURCHASES))
        counts = make(
            read_hires(locate(HIRES)),
            day.date(),
            days,
            bursts,
            shape=shape,
            requests_per_day=requests_per_day,
            candidates=candidates,
            candidates_cv=candidates_cv,
            burstiness=burstiness,
            step_s=step_s,
            seed=seed,
        )
        write_bins(counts, path, provenance(day.date(), days, bursts, shape, burstiness, seed, LICENCE))
    requests = int(counts.requests.sum())
    peak = float(counts.requests.max() / counts.step_s)
    if as_json:
        document = {"path": str(path), "bins": len(counts), "requests": requests, "peak_requests_per_s": peak}
        typer.echo(json.dumps(document, indent=2))
        return
    console.print(
        f"{path}: {requests} requests in {len(counts)} bins of {step_s:g} s, at most {peak:.1f} requests/s",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
