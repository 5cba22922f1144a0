"""Configurations of Metarank, and the pipelines that are drafted from them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.convert.documents import definitions_text, pipeline_text
from cli.convert.draft import Draft
from cli.convert.metarank.config import read_metarank
from cli.convert.metarank.features import CONVERTERS, WITHOUT
from models.features.transforms import transformed
from services.errors import ConfigError
from tests.cli.convert.drafts import features, note, outcomes, pipeline

SHOP = """
features:
  - {name: price, type: number, scope: item, source: metadata.price, ttl: 60d}
  - {name: sale, type: boolean, scope: item, field: item.sale}
  - {name: colour, type: string, scope: item, field: item.colour, encode: index, values: [red, green]}
  - {name: size, type: string, scope: item, field: item.size, values: [s, m, l]}
  - {name: age, type: number, scope: user, field: user.age}
  - {name: photo, type: vector, scope: item, field: item.photo, reduce: [vector8, max]}
  - {name: clicks, type: window_count, interaction: click, scope: user, bucket: 24h, periods: [7, 30]}
  - {name: seen, type: interaction_count, interaction: view, scope: session}
  - {name: ctr, type: rate, top: click, bottom: impression, bucket: 24h, periods: [7], normalize: {weight: 10}}
  - {name: liked, type: interacted_with, interaction: like, field: [item.colour], scope: user, count: 20}
  - {name: place, type: position, position: 5}
  - {name: hour, type: local_time, parse: time_of_day, source: ranking.timestamp}
  - {name: weekday, type: local_time, parse: day_of_week, source: ranking.timestamp}
  - {name: match, type: field_match, itemField: item.title, rankingField: ranking.query, method: {type: bm25}}
  - {name: unused, type: number, scope: item, field: item.unused}
models:
  shop:
    type: lambdamart
    backend: {type: lightgbm, iterations: 100}
    weights: {click: 1, purchase: 3}
    features: [price, sale, colour, size, age, photo, clicks, seen, ctr, liked, place, hour, weekday, match]
  trend: {type: trending, weights: [{interaction: click, decay: 0.9, weight: 1}]}
  random: {type: shuffle, maxPositionChange: 5}
state:
  type: redis
  host: redis.shop
  port: 6380
  auth: {user: ranking, password: hunter2}
  tls: {enabled: true, ca: /etc/ca.pem, verify: ca}
  timeout: {socket: 20ms}
  cache: {maxSize: 4096}
train: {type: file, path: /var/lists}
api: {port: 8080}
source: {type: kafka, topic: events}
"""


def read(folder: Path, text: str, model: str | None = None) -> Draft:
    path = folder / "config.yml"
    path.write_text(text, encoding="utf-8")
    return read_metarank(path, name="shop", model=model)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return read(tmp_path_factory.mktemp("shop"), SHOP)


def test_a_shop_becomes_a_pipeline_that_the_service_accepts(shop: Draft) -> None:
    config = pipeline(shop)
    assert config.required_ranker().model == "ranker"
    assert config.http.port == 8080
    assert config.fallback is not None
    assert config.feedback.kinds == {"click": 0.3333, "purchase": 1.0}
    store: Any = config.features.store
    assert (store.kind, store.nodes, store.username, store.timeout_ms) == (
        "redis",
        ("redis.shop:6380",),
        "ranking",
        20,
    )
    assert (store.tls.ca_file, store.tls.check_hostname) == ("/etc/ca.pem", False)


def test_popular_items_alone_become_a_pipeline_without_a_ranker(tmp_path: Path) -> None:
    draft = read(
        tmp_path, "models: {trend: {type: trending, weights: [{interaction: click}]}}\nfeatures: []\n"
    )
    config = pipeline(draft)
    assert config.ranker is None
    assert config.fallback is None
    assert config.popular is not None
    assert config.popular.column == "popularity"
    assert config.units["main"].stages == ("features",)
    assert features(draft)["item.popularity"].group == "item"


def test_the_comment_at_the_model_has_its_vector_in_metaranks_order(shop: Draft) -> None:
    assert shop.settings["models.ranker.artifact"].note == (
        "Its vector, in this order: item.price, item.sale, item.colour, item.size, user.age, item.photo, "
        "item.photo_max, user.clicks_7, user.clicks_30, realtime.seen, item.ctr_7, context.hour, context.weekday"
    )


def test_features_keep_their_type_shape_and_window(shop: Draft) -> None:
    found = features(shop)
    assert (found["item.sale"].dtype, found["item.colour"].dtype) == ("uint8", "int32")
    assert found["item.colour"].description == "0 none or unknown, 1 red, 2 green"
    assert (found["item.size"].shape, found["item.photo"].shape, found["item.photo_max"].shape) == (
        (3,),
        (8,),
        (),
    )
    clicks, history = found["user.clicks_30"].aggregate, found["user.like_history"]
    assert clicks is not None
    assert (clicks.kind, clicks.event, clicks.window_s) == ("count", "click", 30 * 86_400)
    assert (history.ragged, history.max_length) == (True, 20)
    assert "item.unused" not in found


def test_every_setting_has_an_outcome(shop: Draft) -> None:
    found = outcomes(shop)
    mapped = ("features.price", "features.hour", "api.port", "state", "state.tls")
    assert {found[source] for source in mapped} == {"mapped"}
    decide = (
        "features.photo",
        "features.clicks",
        "features.ctr",
        "features.liked",
        "features.unused",
        "models.shop",
    )
    assert {found[source] for source in (*decide, "models.trend", "state.auth.password", "train")} == {
        "decide"
    }
    none = ("features.place", "features.match", "models.random", "state.cache", "source")
    assert {found[source] for source in none} == {"none"}


def test_the_password_is_in_no_file_and_no_finding(shop: Draft) -> None:
    texts = [pipeline_text(shop, "d", "s"), definitions_text(shop, "s"), str(shop.findings)]
    assert not any("hunter2" in text for text in texts)
    assert shop.settings["features.store.password_env"].value == "REDIS_PASSWORD"


@pytest.mark.parametrize("day", range(1, 15))
def test_the_weekday_and_the_hour_are_those_of_the_calendar(shop: Draft, day: int) -> None:
    moment = datetime(2024, 2, day, 23, 45, tzinfo=UTC)
    found, now_s = features(shop), np.array([moment.timestamp()])
    hour, days, weekday = (
        found[f"context.{name}"].transform for name in ("hour", "weekday_in_days", "weekday")
    )
    assert hour is not None
    assert days is not None
    assert weekday is not None
    assert transformed(hour, now_s, None).tolist() == [23.75]
    assert transformed(weekday, transformed(days, now_s, None), None).tolist() == [moment.isoweekday()]


@pytest.mark.parametrize("verify", ["[]", "{}", "off", "full", "ca"])
def test_any_value_of_tls_verify_is_converted(tmp_path: Path, verify: str) -> None:
    draft = read(tmp_path, SHOP.replace("verify: ca", f"verify: {verify}"))
    assert draft.settings["features.store.tls.check_hostname"].value is (verify == "full")


def test_an_unknown_key_anywhere_is_reported(tmp_path: Path) -> None:
    document = yaml.safe_load(SHOP)
    document["novel"] = 1
    document["features"][0]["novel"] = 1
    document["models"]["shop"]["novel"] = 1
    document["state"]["auth"]["novel"] = 1
    found = outcomes(read(tmp_path, yaml.safe_dump(document)))
    for source in ("novel", "features.price.novel", "models.shop.novel", "state.auth.novel"):
        assert found[source] == "none"


def test_one_of_several_models_must_be_chosen(tmp_path: Path) -> None:
    text = "models: {a: {type: lambdamart}, b: {type: lambdamart}}"
    with pytest.raises(ConfigError, match="got a, b; choose with --model"):
        read(tmp_path, text)
    with pytest.raises(ConfigError, match="got 'c'; name one of a, b"):
        read(tmp_path, text, "c")
    found = outcomes(read(tmp_path, text, "a"))
    assert found == {"state": "mapped", "models.a": "decide", "models.b": "decide"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features: [", "cannot be read as YAML"),
        ("- 1", "expected a mapping"),
        (
            "features: [{name: a, type: number, field: price}]",
            r"features\[0\]\.field: expected <event>\.<field>",
        ),
        ("features: [{name: a, type: number, field: item.a}, {name: a, type: random}]", "declared twice"),
        ("models: {a: {type: lambdamart, features: [b]}}", "not declared under features, got 'b'"),
        (
            "features: [{name: a, type: window_count, interaction: c, scope: user}]",
            "at least one number of buckets",
        ),
        ("state: {type: redis, port: many}", "state.port: expected a number, got 'many'"),
    ],
)
def test_a_faulty_configuration_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_a_port_out_of_range_is_refused_and_traced_to_its_source(tmp_path: Path) -> None:
    draft = read(tmp_path, "api: {port: 99999}")
    with pytest.raises(ConfigError, match=r"http\.port: .*65535, got 99999 \(from api\.port\)"):
        pipeline_text(draft, "d", "s")


def test_an_empty_file_is_drafted_with_a_ranker_to_supply(tmp_path: Path) -> None:
    draft = read(tmp_path, "")
    assert pipeline(draft).required_ranker().model == "ranker"
    assert features(draft) == {}


@pytest.mark.parametrize("weights", ["{click: 0}", "{click: -1, buy: 1}", "{'a b': 1}", "{}"])
def test_weights_that_are_no_relevance_need_a_decision(tmp_path: Path, weights: str) -> None:
    draft = read(tmp_path, f"models: {{a: {{type: lambdamart, weights: {weights}}}}}")
    assert pipeline(draft).feedback.kinds == {}
    assert outcomes(draft)["models.a.weights"] == "decide"


def test_a_score_for_each_item_is_a_feature_of_the_candidates(tmp_path: Path) -> None:
    draft = read(tmp_path, "features: [{name: relevancy, type: relevancy}]")
    assert features(draft).keys() == {"item.relevancy"}
    assert "send candidates as objects" in note(draft, "features.relevancy")


def test_many_categories_are_a_short_definition(tmp_path: Path) -> None:
    values = ", ".join(f"c{code}" for code in range(5_000))
    text = f"features: [{{name: a, type: string, field: item.a, scope: item, encode: index, values: [{values}]}}]"
    feature = features(read(tmp_path, text))["item.a"]
    assert feature.description.endswith("200 c199, and 4800 more")


def test_aliases_that_grow_without_bound_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30))]
    with pytest.raises(ConfigError, match="expected text, got "):
        read(tmp_path, "\n".join([*lines, "api: {host: *a29}"]))


def test_unusual_features_say_what_is_missing(shop: Draft) -> None:
    assert "intersect" in note(shop, "features.liked")
    assert "normalised with weight 10" in note(shop, "features.ctr")


def test_the_page_about_moving_names_every_type_of_feature() -> None:
    page = (Path(__file__).parents[4] / "docs" / "moving.md").read_text(encoding="utf-8")
    assert [kind for kind in (*CONVERTERS, *WITHOUT) if f"`{kind}`" not in page] == []


WEIRD = st.one_of(
    st.sampled_from([None, [], {}, "", True, float("nan"), 10**30, -1, 0, [[1]], {"a": 1}]),
    st.text(max_size=5),
)


@settings(max_examples=40)
@given(st.data())
def test_any_wrong_value_is_converted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = yaml.safe_load(SHOP)
    place: Any = document
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(WEIRD)
            break
        place = place[key]
    try:
        draft = read(tmp_path_factory.getbasetemp(), yaml.safe_dump(document))
        assert pipeline(draft).name == "shop"
        features(draft)
    except ConfigError as error:
        assert str(error)
