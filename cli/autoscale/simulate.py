"""``rankway autoscale simulate``: a pipeline under a trace."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autoscale.config import AutoscalingConfig
from autoscale.errors import TraceError
from autoscale.report import html_report, rows
from autoscale.runs import Engine, engine_for, run
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.traces import Trace, coarse
from cli.autoscale.cases import read_autoscaling, read_pipeline, read_trace
from cli.autoscale.telling import told


def simulate(
    config: Annotated[Path, typer.Argument(help="The pipeline's YAML.")],
    trace: Annotated[Path, typer.Argument(help="The trace: .csv or .parquet.")],
    patch: Annotated[
        Path | None, typer.Option("--with", help="Another autoscaling: a patch or a pipeline.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="auto: events up to 3 million requests, else steps.")
    ] = "auto",
    requests_per_day: Annotated[float | None, typer.Option(help="Scales the trace.")] = None,
    start_s: Annotated[float | None, typer.Option(help="On the trace's clock.")] = None,
    end_s: Annotated[float | None, typer.Option(help="On the trace's clock.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    html: Annotated[Path | None, typer.Option(help="Writes the report with charts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every decision included.")] = False,
) -> None:
    """Tell what a trace would cost and miss, with every decision and its reason."""
    console = Console(stderr=True)
    with told(console):
        pipeline, spec = read_pipeline(config)
        autoscaling = pipeline.autoscaling if patch is None else read_autoscaling(patch)
        if autoscaling is None:
            console.print("no autoscaling: replicas stay as the pipeline has them", highlight=False)
        arrivals = read_trace(trace, requests_per_day)
        options = options_of(arrivals, engine, start_s, end_s, seed)
        with progress_over(console, arrivals, options, trace.name) as progress:
            simulation = run(spec, autoscaling, arrivals, options, progress)
        tell(console, {name_of(autoscaling): simulation}, f"{config.name} under {trace.name}", html, as_json)


def name_of(autoscaling: AutoscalingConfig | None) -> str:
    """Give what a case is called."""
    return "fixed" if autoscaling is None else autoscaling.policy.kind


def options_of(
    trace: Trace, engine: Engine, start_s: float | None, end_s: float | None, seed: int
) -> SimulationOptions:
    """Give the simulation's options.

    Raises:
        TraceError: the times do not go together, or hold nothing of the trace.
    """
    counts = coarse(trace)
    first_s = counts.start_s if start_s is None else start_s
    last_s = counts.end_s if end_s is None else end_s
    if first_s >= counts.end_s or last_s <= counts.start_s:
        raise TraceError(
            f"the trace's clock runs from {counts.start_s:g} to {counts.end_s:g} s, and nothing of it lies between "
            f"start_s and end_s: give times on that clock"
        )
    try:
        return SimulationOptions(engine=engine_for(trace, engine), start_s=start_s, end_s=end_s, seed=seed)
    except ValidationError as error:
        raise TraceError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


@contextmanager
def progress_over(
    console: Console, trace: Trace, options: SimulationOptions, name: str
) -> Iterator[Callable[[float], None]]:
    """Show how far on the trace's clock a simulation is."""
    counts = coarse(trace)
    start_s = counts.start_s if options.start_s is None else options.start_s
    end_s = counts.end_s if options.end_s is None else options.end_s
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(f"{name} ({options.engine})", total=max(end_s - start_s, 1e-9))
        yield lambda now_s: bar.update(task, completed=now_s - start_s)


def tell(
    console: Console, cases: Mapping[str, Simulation], title: str, html: Path | None, as_json: bool
) -> None:
    """Print a table or JSON, and write the report where one is asked for.

    Raises:
        TraceError: the report cannot be written.
    """
    if html is not None:
        with console.status("drawing"):
            text = html_report(cases, title)
        try:
            html.write_text(text, encoding="utf-8")
        except OSError as error:
            raise TraceError(f"{html} cannot be written: {error.strerror or error}") from error
        console.print(f"{html}: written", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        plain = {name: simulation.to_json() for name, simulation in cases.items()}
        typer.echo(json.dumps(plain if len(plain) > 1 else next(iter(plain.values()))))
        return
    table = Table("", *cases, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows(cases):
        table.add_row(*row)
    Console().print(table)
