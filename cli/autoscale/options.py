"""Options that several commands share. Each is declared once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from pydantic import ValidationError

from autoscale.errors import TraceError
from autoscale.simulator.options import SimulationOptions
from autoscale.simulator.run import Engine, engine_for
from autoscale.traces.trace import Trace, coarse

EngineOption: TypeAlias = Annotated[
    Engine,
    typer.Option(
        help="Simulation engine. events: each request. steps: an even load in each step. auto: events for up to 3 "
        "million requests, otherwise steps."
    ),
]
Start: TypeAlias = Annotated[
    float | None, typer.Option("--start-s", help="Start of the simulation, in seconds on the trace's clock.")
]
End: TypeAlias = Annotated[
    float | None, typer.Option("--end-s", help="End of the simulation, in seconds on the trace's clock.")
]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Random seed.")]
Html: TypeAlias = Annotated[Path | None, typer.Option(help="Write an HTML report with charts to this file.")]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, with every decision.")
]
RequestsPerDay: TypeAlias = Annotated[
    float | None, typer.Option(help="Scale the trace to this mean number of requests per day.")
]


def options_of(
    trace: Trace, engine: Engine, start_s: float | None, end_s: float | None, seed: int
) -> SimulationOptions:
    """Return the simulation's options.

    Raises:
        TraceError: the end is not after the start, or the times are outside the trace.
    """
    counts = coarse(trace)
    first_s = counts.start_s if start_s is None else start_s
    last_s = counts.end_s if end_s is None else end_s
    if first_s >= counts.end_s or last_s <= counts.start_s:
        raise TraceError(
            f"--start-s, --end-s: outside the trace, which runs from {counts.start_s:g} to {counts.end_s:g} s, got "
            f"{first_s:g} and {last_s:g}; choose times on the trace's clock"
        )
    try:
        return SimulationOptions(engine=engine_for(trace, engine), start_s=start_s, end_s=end_s, seed=seed)
    except ValidationError as error:
        raise TraceError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
