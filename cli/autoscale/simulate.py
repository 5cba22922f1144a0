"""``rankway autoscale simulate``: simulate a pipeline under a trace."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from autoscale.config import AutoscalingConfig
from autoscale.errors import TraceError
from autoscale.reports.html import html_report, rows
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.results import Simulation
from autoscale.simulator.run import run
from autoscale.traces.trace import Trace, coarse
from cli.autoscale.cases import read_autoscaling, read_pipeline, read_trace
from cli.autoscale.options import End, EngineOption, Html, Json, RequestsPerDay, Seed, Start, options_of
from cli.errors import exit_on_error


def simulate(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    trace: Annotated[Path, typer.Argument(help="Trace, a .csv or .parquet file.")],
    patch: Annotated[
        Path | None,
        typer.Option(
            "--with",
            help="YAML file with another autoscaling to use: a pipeline, or only the part autoscaling.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    requests_per_day: RequestsPerDay = None,
    start_s: Start = None,
    end_s: End = None,
    seed: Seed = 0,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Simulate a pipeline under a trace. Show costs, misses, and each decision with its reason."""
    console = Console(stderr=True)
    with exit_on_error(console):
        pipeline, spec = read_pipeline(config)
        autoscaling = pipeline.autoscaling if patch is None else read_autoscaling(patch, pipeline.trust)
        if autoscaling is None:
            console.print("no autoscaling: replica counts stay as configured", highlight=False)
        arrivals = read_trace(trace, requests_per_day)
        options = options_of(arrivals, engine, start_s, end_s, seed)
        with progress_over(console, arrivals, options, trace.name) as progress:
            simulation = run(spec, autoscaling, arrivals, options, progress)
        tell(console, {name_of(autoscaling): simulation}, f"{config.name} under {trace.name}", html, as_json)


def name_of(autoscaling: AutoscalingConfig | None) -> str:
    """Return the policy's kind, or "fixed" if there is no autoscaling."""
    return "fixed" if autoscaling is None else autoscaling.policy.kind


@contextmanager
def progress_over(
    console: Console, trace: Trace, options: SimulationOptions, name: str
) -> Iterator[Callable[[float], None]]:
    """Show a progress bar for a simulation. The yielded function sets the bar to a time within the trace."""
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
    """Print a table or JSON, and write the HTML report if a file is named.

    Raises:
        TraceError: the report cannot be written.
    """
    if html is not None:
        with console.status("drawing"):
            text = html_report(cases, title)
        try:
            html.write_text(text, encoding="utf-8")
        except OSError as error:
            raise TraceError(
                f"--html: {html} cannot be written: {error.strerror or error}; name a file in a writable folder"
            ) from error
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
