"""The group ``rankway autoscale``. Each command is a module of this package."""

import typer

from cli.autoscale.plan import plan
from cli.autoscale.record import record
from cli.autoscale.replay import replay
from cli.autoscale.simulate import simulate
from cli.autoscale.synthesise import synthesise
from cli.autoscale.tune import tune

app = typer.Typer(help="Record, simulate and replay traffic; tune and plan capacity.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Record, simulate and replay traffic; tune and plan capacity."""


app.command("synthesise")(synthesise)
app.command("plan")(plan)
app.command("record")(record)
app.command("simulate")(simulate)
app.command("replay")(replay)
app.command("tune")(tune)
