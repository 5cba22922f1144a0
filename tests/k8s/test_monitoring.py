"""Alerts and dashboards use only exported series and labels. Each alert has a runbook."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.k8s import series

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "k8s" / "components" / "monitoring"
ALERTS = [
    alert
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
    for alert in group["rules"]
]
GUIDE = ROOT / "docs" / "guides" / "troubleshooting.md"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
MONITOR = yaml.safe_load((MONITORING / "pod-monitor.yaml").read_text())["spec"]
ADDED = {
    relabeling["targetLabel"]
    for endpoint in MONITOR["podMetricsEndpoints"]
    for relabeling in endpoint["relabelings"]
}
# Prometheus adds these labels to each series that a PodMonitor scrapes.
EVERY = ADDED | {"namespace", "pod", "container", "endpoint", "instance", "job"}


def expressions() -> Iterator[tuple[str, str]]:
    """Yield the place and the PromQL expression of every alert and panel."""
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                # Grafana's other variables are inside strings, so the expression can be parsed with them.
                expression = target["expr"].replace("$__rate_interval", "1m")
                yield f"{path.stem}: {panel['title']} {target['refId']}", expression


EXPRESSIONS = dict(expressions())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> series.Series:
    """Return the exported series with their labels."""
    return {
        "up": set(),
        **series.of_rankway(),
        **series.of_autoscaler(),
        **series.of_haproxy(tmp_path_factory.mktemp("haproxy")),
    }


def parts_of(expression: str, kind: type[Any]) -> list[Any]:
    parts: list[Any] = []

    def visit(part: promql_parser.Expr) -> bool:
        if isinstance(part, kind):
            parts.append(part)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return parts


def labels_of(name: str, exported: series.Series) -> set[str] | None:
    """Return a series' labels, or None for Ray's own series, whose labels we do not know."""
    return exported[name] | EVERY if name in exported else None


def faults_of(expression: str, exported: series.Series) -> list[str]:
    faults = []
    for selector in parts_of(expression, promql_parser.VectorSelector):
        labels = labels_of(selector.name, exported)
        if labels is None and not series.is_of_ray(selector.name):
            faults.append(f"nothing exports {selector.name}")
        used = {matcher.name for matcher in selector.matchers.matchers}
        faults += [f"{selector.name} has no label {label}" for label in used - (labels or used)]
    for aggregate in parts_of(expression, promql_parser.AggregateExpr):
        inner = parts_of(aggregate.expr.prettify(), promql_parser.VectorSelector)
        every = [labels_of(selector.name, exported) for selector in inner]
        if aggregate.modifier is not None and None not in every:
            available = set().union(*(labels for labels in every if labels is not None))
            absent = set(aggregate.modifier.labels) - available
            faults += [f"nothing in {aggregate.prettify()} has {label}" for label in absent]
    return faults


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_expressions_use_only_exported_series_and_labels(where: str, exported: series.Series) -> None:
    assert faults_of(EXPRESSIONS[where], exported) == []


@pytest.mark.parametrize(
    "expression",
    [
        "ray_rankway_request_total",
        'ray_rankway_requests_total{state="429"}',
        "sum by (pool) (ray_rankway_store_left_alone)",
        "haproxy_backend_servers",
        "sum by (unit) (haproxy_backend_active_servers)",
    ],
)
def test_detects_expressions_with_unknown_series_or_labels(expression: str, exported: series.Series) -> None:
    assert faults_of(expression, exported) != []


def test_added_labels_differ_from_the_labels_of_all_series(exported: series.Series) -> None:
    own = set().union(*exported.values())
    assert own & ADDED == set()


def test_every_alert_has_a_runbook_a_severity_and_a_summary_with_known_labels() -> None:
    runbooks = re.findall(r"^#+ (Rankway\w+)$", GUIDE.read_text(), re.MULTILINE)
    names = [alert["alert"] for alert in ALERTS]
    assert sorted(runbooks) == sorted(names)
    assert len(set(names)) == len(names)
    for alert in ALERTS:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"]["runbook"] == f"docs/guides/troubleshooting.md#{alert['alert'].lower()}"
        outermost = promql_parser.parse(alert["expr"])
        available = set(
            re.findall(
                r"\w+", re.sub(r".*?\bby \((.*?)\).*", r"\1", outermost.prettify(), count=1, flags=re.S)
            )
        )
        used = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        assert used <= available, alert["alert"]


def test_alerts_cover_the_known_faults_of_a_service() -> None:
    wanted = {
        "RankwaySlow": "objective_ms",
        "RankwayRefusing": "429",
        "RankwayDegraded": "reason",
        "RankwayAtMaxReplicas": "max",
        "RankwayPoolPending": "autoscaler_pending_nodes",
        "RankwayStoreBreakerOpen": "store_left_alone",
        "RankwayReleaseFailed": "release_failed",
        "RankwayHeadDown": "head",
        "RankwayRedisDown": "store_left_alone",
        "RankwayLogDropped": "log_dropped_rows_total",
    }
    assert {name for name, part in wanted.items() if part in EXPRESSIONS.get(name, "")} == set(wanted)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_panels_of_a_dashboard_have_unique_ids_and_places(path: Path) -> None:
    board = json.loads(path.read_text())
    panels = board["panels"]
    assert board["uid"] == path.stem
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", path.read_text())) - {"__rate_interval", "__all"}
    assert used <= variables
