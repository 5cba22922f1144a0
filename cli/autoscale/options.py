"""The options that ``simulate`` and ``replay`` have in common, each declared once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from pydantic import ValidationError

from autoscale.errors import TraceError
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.run import Engine, engine_for
from autoscale.traces.trace import Trace, coarse

EngineOption: TypeAlias = Annotated[
    Engine, typer.Option(help="auto: events up to 3 million requests, else steps.")
]
Start: TypeAlias = Annotated[float | None, typer.Option("--start-s", help="On the trace's clock.")]
End: TypeAlias = Annotated[float | None, typer.Option("--end-s", help="On the trace's clock.")]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Of what chance has a say in.")]
Html: TypeAlias = Annotated[Path | None, typer.Option(help="Writes the report with charts.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, every decision included.")]
RequestsPerDay: TypeAlias = Annotated[float | None, typer.Option(help="Scales the trace.")]


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
