"""The text of an error has its field exactly once: in every command and in problem documents."""

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.k8s.checks import check_renderable
from models.errors import ModelError
from models.features.catalogue import Catalogue
from models.served_log.kinds import FeedbackConfig
from services.config.limits import RequestsConfig
from services.config.loading import load_config
from services.deployment.check import Preflight
from services.errors import ConfigError, ServiceError, with_field
from services.ingress.feedback import log_feedback, parse_feedback
from services.ingress.items import item_row
from services.ingress.limits import check_limits
from services.ingress.schema import RankRequest, parse_rank_request
from services.releases.loading import load_release
from services.sharding.transport import shared_memory_refused
from services.stages.context import ContextValue
from services.stages.sent_items import ItemLayout
from services.stores.lmdb import LmdbStore
from tests.pipelines import FEATURES, WITH_RERANKER, make_pipeline, merged
from tests.services.stages.contexts import LAYOUT

ROOT = Path(__file__).parents[3]

# Changes of the pipeline's YAML. Each has one fault or several, which only the data and models show.
CHANGES: list[Mapping[str, Any]] = [
    {"catalogue": "elsewhere"},
    {"candidates": {"count": 501}},
    {"features": {"definitions": "elsewhere.yaml"}},
    {"features": {"definitions": "pipeline.yaml"}},
    {"features": {"store": {"path": "elsewhere.lmdb"}}},
    {"features": {"overlay": "elsewhere"}},
    {"models": {"ranker": {"artifact": "elsewhere"}}},
    {
        "models": {"ranker": {"runtime": {"kind": "python", "target": "nowhere:Runtime"}}},
        "trust": ["nowhere"],
    },
    {"models": {"ranker": {"runtime": {"kind": "auto"}}}, "units": {"main": {"pools": {"gpu": {"gpus": 1}}}}}
    | {"pools": {"gpu": {"cpus": 8, "memory_gib": 32, "gpus": 1, "price_per_hour": 1}}},
    {"ranker": {"history_cache": {"max_age_s": 60}}},
    {"log": {"path": "nowhere://log"}},
    {"record": {"path": "nowhere://log"}},
    {"fallback": {"lists": "elsewhere.parquet"}},
    {"fallback": {"popular": {"column": "colour"}}},
    {"autoscaling": {"p99_ms": 80, "policy": {"kind": "coupled"}}},
    merged(WITH_RERANKER, {"reranker": {"output": "rating"}}),
    merged(WITH_RERANKER, {"reranker": {"diversity": {"column": "colour"}}}),
    merged(WITH_RERANKER, {"reranker": {"diversity": {"column": "value"}}}),
    merged(WITH_RERANKER, {"reranker": {"rules": {"cap": {"column": "embedding", "most": 1}}}}),
    merged(WITH_RERANKER, {"reranker": {"rules": {"seen": {"within_days": 1, "history": "colour"}}}}),
]

# Changes that do not fit the schema. Each has one fault.
INVALID: list[Mapping[str, Any]] = [
    {"catalog": "x"},
    {"candidates": {"count": 0}},
    {"candidates": {"kind": "nowhere:Source"}},
    {"features": {"store": {"kind": "nowhere:Store"}}},
    {"models": {"ranker": {"runtime": {"kind": "nowhere:Runtime"}}}},
    {"models": {"ranker": {"runtime": {"kind": "python", "target": "nowhere:Runtime"}}}},
    {"ranker": {"model": "other"}},
    {"ranker": {"history_cache": {"max_mib": 1}}},
    {"reranker": {"rules": {"seen": {"users": "colour"}}}},
    {"stages": [{"kind": "nowhere:Stage", "before": "ranker"}]},
    {"autoscaling": {"policy": {"kind": "coupled"}}},
    {"units": {"main": {"replicas": -1}}},
    {"units": {"main": {"batching": {"max_candidates": "many"}}}},
    {"requests": {"default_deadline_ms": 70_000}},
]

BODIES = [
    b"{}",
    b"[]",
    b'{"user_id": "u"',
    b'{"user_id": 7}',
    b'{"user_id": "u", "k": 0}',
    b'{"user_id": "u", "candidates": ["a", 2]}',
    b'{"user_id": "u", "context": {"a": {"b": 1}}}',
    b'{"user_id": "u", "%s": 1}' % (b"x" * 500),
]


def assert_field_once(text: str, field: str | None) -> None:
    """Check that the text begins with the field, and that the rest does not repeat it."""
    assert field
    assert text.startswith(f"{field}: ") or text.startswith((f"{field}.", f"{field}["))
    rest = text[len(field) + 1 :]
    assert (field not in rest) if "." in field else (f"{field}: " not in rest), text


def fields_and_texts(home: Path, config_path: Path) -> Iterator[tuple[str, str]]:
    """Yield field and text of each fault that ``rankway check`` shows."""
    for line in Preflight(load_config(config_path), home).faults():
        field = line.partition(": ")[0]
        assert not any(character.isspace() for character in field), f"begins with no field: {line}"
        yield field, line


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_faults_of_a_pipeline_have_their_field_once(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    path = make_pipeline(tmp_path, changes)
    config = load_config(path)
    shown = list(fields_and_texts(tmp_path, path))
    assert shown
    for field, text in shown:
        assert_field_once(text, field)
    try:
        load_release(config, tmp_path, config.stage_names())
    except ServiceError as error:
        assert str(error) == error.detail
        if error.field is not None:
            assert_field_once(str(error), error.field)
    except ModelError as error:
        assert not hasattr(error, "field")


@pytest.mark.parametrize("changes", INVALID, ids=str)
def test_faults_of_the_yaml_have_their_field_once(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    path = make_pipeline(tmp_path, changes)
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    for line in str(raised.value).splitlines():
        text = line.removeprefix(f"{path}: ")
        assert_field_once(text, text.partition(": ")[0])
        assert text.count(", got ") <= 1


def _refusals(home: Path) -> Iterator[Callable[[], object]]:
    catalogue = Catalogue.open(home / "catalogue")
    limits = RequestsConfig(max_k=10, max_deadline_ms=100, default_deadline_ms=50, max_priority=1)
    for body in BODIES:
        yield partial(parse_rank_request, body)
    for request in (
        RankRequest("u", k=11),
        RankRequest("u", deadline_ms=200),
        RankRequest("u", priority=2),
    ):
        yield partial(check_limits, request, limits)
    numbers = {"unknown": 1.0, "position": 1.0, "hour": 1.5, "shift": 1e39, "x" * 500: 1.0}
    contexts: list[dict[str, ContextValue]] = [{name: value} for name, value in numbers.items()]
    for context in contexts:
        yield partial(LAYOUT.encode, context)
    items, feedback = ItemLayout(catalogue, FEATURES), FeedbackConfig(kinds={"rated": "value", "opened": 0.2})
    yield lambda: items.read(["nowhere"], 10)
    yield lambda: items.read(["a"] * 11, 10)
    for candidate in ({}, {"id": "a", "price": 1}, {"id": "a", "features": 1}, {"id": "item-0001"}):
        yield partial(items.read, ["item-0001", candidate], 10)
    for features in ({"value": "1"}, {"value": 1e39}, {"weight": 1}):
        yield partial(items.read, [{"id": "a", "features": features}], 10)
    yield partial(ItemLayout(catalogue, FEATURES, "the stage a").read, [{"id": "a"}], 10)
    yield lambda: item_row(catalogue, "nowhere")
    for event in (b'"rated"', b'"clicked"', b'"opened", "value": 1'):
        body = b'{"request_id": "r", "item_id": "i", "event": %s}' % event
        yield partial(parse_feedback, body, feedback)
        yield partial(log_feedback, body, feedback, items, None)
    yield partial(items.key_of, "x" * 257)
    file = home / "file"
    file.touch()
    yield lambda: LmdbStore(file / "store", readonly=False)
    yield lambda: LmdbStore(home / "elsewhere")
    yield lambda: _raise(shared_memory_refused("this machine is small"))
    for name, changes in (("x", {}), ("a-", {}), ("x", {"pools": {"local": {"labels": {"ray.io/x": "y"}}}})):
        document = yaml.safe_load((home / "pipeline.yaml").read_text())
        path = home / f"{name}-{len(changes)}.yaml"
        pool = {"local": {"cpus": 8, "memory_gib": 32, "price_per_hour": 1}} if changes else {}
        path.write_text(yaml.safe_dump(merged(document, merged({"name": name, "pools": pool}, changes))))
        yield partial(check_renderable, load_config(path))


def _raise(error: Exception) -> None:
    raise error


def test_problem_documents_have_the_field_once_in_their_detail(tmp_path: Path) -> None:
    make_pipeline(tmp_path)
    count = 0
    for refuse in _refusals(tmp_path):
        with pytest.raises(ServiceError) as raised:
            refuse()
        error = raised.value
        assert_field_once(str(error), error.field)
        document = json.loads(error.problem("id-1"))
        assert (document["detail"], document["field"]) == (str(error), error.field)
        count += 1
    assert count > 20


@pytest.mark.parametrize(
    ("field", "message", "text"),
    [
        ("candidates", "send fewer", "candidates: send fewer"),
        ("candidates", "candidates: send fewer", "candidates: send fewer"),
        ("candidates", "candidates.count: too many", "candidates.count: too many"),
        ("candidates", "candidates[2]: unknown", "candidates[2]: unknown"),
        ("candidates", "candidates are missing", "candidates: candidates are missing"),
        ("k", "kind: unknown", "k: kind: unknown"),
        (None, "out of memory", "out of memory"),
        ("", "out of memory", "out of memory"),
    ],
)
def test_field_is_added_only_if_the_message_does_not_begin_with_it(
    field: str | None, message: str, text: str
) -> None:
    assert with_field(field, message) == text
    assert with_field(field, text) == text or message.startswith("kind")


def test_no_message_in_the_code_repeats_the_field_of_its_error() -> None:
    repeated = []
    for path in sorted([*ROOT.glob("services/**/*.py"), *ROOT.glob("cli/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            fields = [each.value for each in getattr(node, "keywords", ()) if each.arg == "field"]
            if not (isinstance(node, ast.Call) and fields and node.args):
                continue
            field, message = _template(fields[0]), _template(node.args[0])
            if message.startswith(f"{field}: "):
                repeated.append(f"{path.relative_to(ROOT)}:{node.lineno}: {message[:60]}")
    assert not repeated, repeated


def _template(expression: ast.expr) -> str:
    """Return a text with its expressions in braces."""
    if isinstance(expression, ast.Constant):
        return str(expression.value)
    if isinstance(expression, ast.JoinedStr):
        return "".join(_template(part) for part in expression.values)
    if isinstance(expression, ast.FormattedValue):
        return _template(expression.value)
    return f"{{{ast.unparse(expression)}}}"
