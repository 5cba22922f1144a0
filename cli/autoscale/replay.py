"""``rankway autoscale replay``: simulate recorded traffic under another configuration."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autoscale.reports.gate import parse_gate
from autoscale.simulator.run import run
from autoscale.traces.recorded_traffic import RecordedTraffic, read_traffic
from autoscale.traces.trace import Trace
from cli.autoscale.cases import read_autoscaling, read_pipeline, read_trace, specified
from cli.autoscale.options import End, EngineOption, Html, Json, Seed, Start, options_of
from cli.autoscale.simulate import progress_over, tell
from cli.errors import exit_on_error
from services.config.loading import validated
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError


def replay(
    log: Annotated[
        Path, typer.Argument(help="Folder of recorded traffic. Or a trace, which also needs --config.")
    ],
    patch: Annotated[
        Path,
        typer.Option(
            "--with",
            help="YAML file with the autoscaling to compare: a pipeline, or only the part autoscaling.",
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Pipeline YAML file. Default: the recorded pipeline.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with status 1 if this holds, such as cost>1.1x, misses>1% or p99_ms>80. May be repeated."
        ),
    ] = None,
    engine: EngineOption = "auto",
    start_s: Start = None,
    end_s: End = None,
    seed: Seed = 0,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Compare recorded traffic's costs and misses under two autoscaling settings, side by side."""
    console = Console(stderr=True)
    with exit_on_error(console):
        gates = [parse_gate(text) for text in fail_if or ()]
        pipeline, trace = _recorded(console, log, config)
        spec = specified(pipeline)
        other = read_autoscaling(patch, pipeline.trust)
        options = options_of(trace, engine, start_s, end_s, seed)
        cases = {}
        for name, autoscaling in (("as it is", pipeline.autoscaling), (patch.stem, other)):
            with progress_over(console, trace, options, name) as progress:
                cases[name] = run(spec, autoscaling, trace, options, progress)
        tell(console, cases, f"{log.name} with {patch.name}", html, as_json)
        old, new = cases.values()
        faults = [fault for gate in gates if (fault := gate.fault(old, new)) is not None]
    for fault in faults:
        console.print(f"fails: {fault}", style="red", markup=False, highlight=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)


def _recorded(console: Console, log: Path, config: Path | None) -> tuple[PipelineConfig, Trace]:
    if log.suffix == ".csv" or (log.is_file() and not log.name.startswith("traffic-")):
        if config is None:
            raise ConfigError(f"--config: missing, but the trace {log} names no pipeline; give --config")
        return read_pipeline(config)[0], read_trace(log, None)
    traffic = read_traffic(log)
    _print_recorded(console, traffic)
    if config is not None:
        return read_pipeline(config)[0], traffic.trace
    if trusted := traffic.pipeline.get("trust"):  # a log is data: code that it names is not loaded
        raise ConfigError(
            f"{log}: trust: the recorded pipeline has code from other packages, got {', '.join(trusted)}; name "
            f"the pipeline with --config"
        )
    return validated(traffic.pipeline, str(log)), traffic.trace


def _print_recorded(console: Console, traffic: RecordedTraffic) -> None:
    """Print the recorded batches, refusals and decisions. A recording has no costs."""
    for unit, batches in traffic.batches.items():
        console.print(
            f"{unit} as recorded: {batches} batches with {traffic.batched[unit] / batches:.0f} candidates on average, "
            f"{traffic.shed.get(unit, 0)} requests refused or degraded",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    for decision in traffic.decisions[-10:]:
        console.print(
            f"{decision.at_s:.0f} s: {decision.reason}", markup=False, highlight=False, soft_wrap=True
        )
