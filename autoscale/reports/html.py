"""The report on one or several simulations, side by side, as one HTML file that loads no other resource."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from autoscale.reports.charts import charts
from autoscale.simulator.results import DecisionRecord, Simulation

_MOST_DECISIONS = 1000
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } h2 { font-size: 1.05rem; margin: 1.4rem 0 .2rem; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } td, th { border-color: #444; }
svg { background: #fff; } }
"""

Row = tuple[str, Callable[[Simulation], str]]
SUMMARY: tuple[Row, ...] = (
    ("cost", lambda s: f"{s.cost:,.2f}"),
    ("replica-seconds", lambda s: f"{sum(u.replica_seconds for u in s.units.values()):,.0f}"),
    ("requests", lambda s: f"{s.requests.arrived:,.0f}"),
    ("missed requests", lambda s: f"{s.requests.misses:,.0f}"),
    ("share of missed requests", lambda s: f"{miss_share(s):.3%}"),
    ("late", lambda s: f"{s.requests.late:,.0f}"),
    ("degraded", lambda s: f"{s.requests.degraded:,.0f}"),
    ("shed (429)", lambda s: f"{s.requests.shed:,.0f}"),
    ("dropped at the deadline", lambda s: f"{s.requests.dropped:,.0f}"),
    ("lost with a replica", lambda s: f"{s.requests.failed:,.0f}"),
    ("p50, ms", lambda s: f"{s.latency.p50_ms:,.1f}"),
    ("p95, ms", lambda s: f"{s.latency.p95_ms:,.1f}"),
    ("p99, ms", lambda s: f"{s.latency.p99_ms:,.1f}"),
    ("time with over 1% missed, s", lambda s: f"{s.violated_s:,.0f}"),
    ("decisions that changed a target", lambda s: f"{sum(d.changed for d in s.decisions):,}"),
    ("replicas started", lambda s: f"{sum(u.started for u in s.units.values()):,}"),
)


def miss_share(simulation: Simulation) -> float:
    """Return the share of requests that were not answered in full within the objective."""
    return simulation.requests.misses / max(simulation.requests.arrived, 1.0)


def rows(cases: Mapping[str, Simulation]) -> list[tuple[str, ...]]:
    """Return the summary table with a row for each figure and a column for each case.

    The last rows are the replica-seconds for each unit, and the cost and peak nodes for each pool.
    """
    simulations = tuple(cases.values())
    table = [(name, *map(value, simulations)) for name, value in SUMMARY]
    for unit in simulations[0].units:
        table.append(
            (f"{unit}: replica-seconds", *(f"{s.units[unit].replica_seconds:,.0f}" for s in simulations))
        )
    for pool in simulations[0].pools:
        table.append((f"pool {pool}: cost", *(f"{s.pools[pool].cost:,.2f}" for s in simulations)))
        table.append(
            (f"pool {pool}: most nodes at once", *(f"{s.pools[pool].peak_nodes:,}" for s in simulations))
        )
    return table


def html_report(cases: Mapping[str, Simulation], title: str) -> str:
    """Return the report as HTML."""
    first = next(iter(cases.values()))
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p>{escape(first.pipeline)}, objective p99 {first.p99_objective_ms:g} ms. Simulated from "
        f"{first.start_s:g} to {first.end_s:g} s on the trace's clock, engine {first.engine}, seed {first.seed}.</p>",
        _table(("", *cases), rows(cases)),
    ]
    for name, picture in charts(cases).items():
        parts.append(f"<h2>{escape(name)}</h2>{picture}")
    for name, simulation in cases.items():
        parts.append(_decisions_and_incidents(name, simulation))
    return "".join(parts) + "</html>\n"


def _decisions_and_incidents(name: str, simulation: Simulation) -> str:
    """Return the decisions and incidents of a case as tables."""
    changes = [decision for decision in simulation.decisions if decision.changed]
    shown = changes[:_MOST_DECISIONS]
    more = f", of which the first {len(shown)} are shown" if len(shown) < len(changes) else ""
    texts = [(f"{decision.at_s:,.0f}", _reasons(decision)) for decision in shown]
    section = f"<h2>Decisions of {escape(name)}: {len(changes)} changed a target{more}</h2>"
    section += _table(("time, s", "reason"), texts)
    if simulation.incidents:
        incidents = [(f"{each.at_s:,.0f}", each.what) for each in simulation.incidents[:_MOST_DECISIONS]]
        section += f"<h2>Incidents of {escape(name)}</h2>" + _table(("time, s", "incident"), incidents)
    return section


def _reasons(decision: DecisionRecord) -> str:
    return "; ".join(decision.reasons[name] for name in decision.replicas if decision.reasons.get(name))


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    numeric = head[0] == ""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag} class='n'>{escape(value)}</{tag}>"
            if numeric and index
            else f"<{tag}>{escape(value)}</{tag}>"
            for index, value in enumerate(values)
        )

    lines = "".join(f"<tr>{cells('td', values)}</tr>" for values in body)
    return f"<table><tr>{cells('th', head)}</tr>{lines}</table>"
