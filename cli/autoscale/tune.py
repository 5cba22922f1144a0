"""``rankway autoscale tune``: search for autoscaling settings with few misses and low cost."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from autoscale.config import AutoscalingConfig
from autoscale.errors import AutoscaleError
from autoscale.reports.html import miss_share
from autoscale.reports.summary import changes, gains, patch
from autoscale.simulator.results import Simulation
from autoscale.tuner.search_space import kinds_for
from autoscale.tuner.study import TuneOptions
from autoscale.tuner.tuner import Tuned, judge
from autoscale.tuner.tuner import tune as search
from cli.autoscale.cases import read_pipeline, read_trace
from cli.autoscale.simulate import name_of
from cli.errors import exit_on_error
from cli.progress import shown_progress


def tune(
    config: Annotated[Path, typer.Argument(help="Pipeline YAML file.")],
    trace: Annotated[Path, typer.Argument(help="Trace to tune on.")],
    validate: Annotated[
        Path | None, typer.Option(help="Trace on which the results are judged. Default: TRACE.")
    ] = None,
    out: Annotated[Path, typer.Option(help="YAML file to write, with the chosen autoscaling.")] = Path(
        "autoscaling.yaml"
    ),
    journal: Annotated[
        Path | None,
        typer.Option(help="Journal of finished trials. A later run resumes from it. Default: OUT.journal."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Policy to try. May be repeated. Default: all that can help this pipeline."),
    ] = None,
    max_misses: Annotated[
        float, typer.Option(help="Share of requests that may miss the objective, 0 to 1.")
    ] = 0.01,
    p99_ms: Annotated[
        float | None,
        typer.Option(
            help="Objective (p99) in ms, if the pipeline has no autoscaling. Default: its default deadline."
        ),
    ] = None,
    requests_per_day: Annotated[
        float | None, typer.Option(help="Scale the traces to this mean number of requests per day.")
    ] = None,
    trials: Annotated[
        int, typer.Option(help="Number of configurations to simulate on a short part of the trace.")
    ] = 1000,
    middle: Annotated[
        int, typer.Option(help="Number of the best configurations to simulate on a longer part of the trace.")
    ] = 50,
    finalists: Annotated[
        int, typer.Option(help="Number of the best configurations to simulate on the whole trace.")
    ] = 6,
    step_s: Annotated[float, typer.Option(help="Bin width for simulations, in seconds.")] = 10.0,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 2,
    seed: Annotated[int, typer.Option(help="Random seed for the search.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search for autoscaling settings with few misses and low cost. Write them and show the gain."""
    console = Console(stderr=True)
    with exit_on_error(console):
        pipeline, spec = read_pipeline(config)
        options = _options(
            kinds=tuple(policy or kinds_for(spec)),
            max_misses=max_misses,
            trials=trials,
            middle=middle,
            finalists=finalists,
            step_s=step_s,
            workers=workers,
            seed=seed,
        )
        base = _base(pipeline.autoscaling, p99_ms or pipeline.requests.default_deadline_ms)
        tuned_on = read_trace(trace, requests_per_day)
        judged_on = tuned_on if validate is None else read_trace(validate, requests_per_day)
        with shown_progress(console, "short", "middle", "whole") as progress:
            tuned = search(spec, base, tuned_on, options, journal or out.with_suffix(".journal"), progress)
        configs = [pipeline.autoscaling, *(point.config for point in tuned.front)]
        with shown_progress(console, "judged") as progress:
            now, *judged = judge(spec, configs, judged_on, options, progress)
        best = judged[tuned.front.index(tuned.chosen)]
        summary = [*changes(pipeline.autoscaling, tuned.chosen.config), gains(now, best, judged_on.name)]
        _write(
            out,
            patch(tuned.chosen.config, (f"Tuned on {trace.name}, judged on {judged_on.name}:", summary[-1])),
        )
    if as_json:
        typer.echo(json.dumps(_as_json(tuned, now, judged, summary, out), indent=2))
        return
    title = f"tuned on {trace.name}, judged on {judged_on.name}"
    table = Table("policy", "cost", "misses", "judged: cost", "misses", "p99, ms", "", title=title)
    for column in table.columns[1:6]:
        column.justify = "right"
    for point, simulation in zip(tuned.front, judged, strict=True):
        mark = "chosen" if point.number == tuned.chosen.number else ""
        table.add_row(
            point.config.policy.kind, f"{point.cost:,.2f}", f"{point.misses:.3%}", *_columns(simulation), mark
        )
    table.add_row(name_of(pipeline.autoscaling), "", "", *_columns(now), "as it is")
    shown = Console()
    shown.print(table)
    for line in summary:
        shown.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    if miss_share(best) > max_misses:
        shown.print(
            f"The chosen autoscaling misses more than the allowed {max_misses:.2%} on {judged_on.name}.",
            style="yellow",
            highlight=False,
        )
    shown.print(f"{out}: written", markup=False, highlight=False, soft_wrap=True)


def _columns(judged: Simulation) -> tuple[str, str, str]:
    return f"{judged.cost:,.2f}", f"{miss_share(judged):.3%}", f"{judged.latency.p99_ms:,.0f}"


def _options(**values: Any) -> TuneOptions:
    try:
        return TuneOptions.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-")
        raise typer.BadParameter(f"--{name}: {fault['msg']}, got {fault['input']}") from None


def _base(autoscaling: AutoscalingConfig | None, p99_ms: float) -> AutoscalingConfig:
    if autoscaling is not None:
        return autoscaling
    try:
        return AutoscalingConfig.model_validate({"p99_ms": p99_ms, "policy": {"kind": "target_ongoing"}})
    except ValidationError as error:
        raise typer.BadParameter(f"--p99-ms: {error.errors()[0]['msg']}, got {p99_ms}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AutoscaleError(
            f"{path} cannot be written: {error.strerror or error}; name a file in a writable folder"
        ) from error


def _as_json(
    tuned: Tuned, now: Simulation, judged: list[Simulation], summary: list[str], out: Path
) -> dict[str, object]:
    def shown(simulation: Simulation) -> dict[str, object]:
        return {
            "cost": simulation.cost,
            "misses": miss_share(simulation),
            "p99_ms": simulation.latency.p99_ms,
            "violated_s": simulation.violated_s,
        }

    front = [
        {
            "autoscaling": point.config.model_dump(mode="json"),
            "cost": point.cost,
            "misses": point.misses,
            "judged": shown(simulation),
        }
        for point, simulation in zip(tuned.front, judged, strict=True)
    ]
    return {
        "trials": tuned.trials,
        "failed": tuned.failed,
        "front": front,
        "chosen": tuned.chosen.config.model_dump(mode="json"),
        "judged": {"now": shown(now), "chosen": shown(judged[tuned.front.index(tuned.chosen)])},
        "summary": summary,
        "patch": str(out),
    }
