"""Schemas of Vespa, and the pipelines that are drafted from them."""

import json
from pathlib import Path

import pytest

from cli.convert.draft import Draft
from cli.convert.vespa.application import read_vespa
from services.errors import ConfigError
from tests.cli.convert.drafts import features, note, outcomes, pipeline

SCHEMA = """
schema product {
    document product {
        field title type string { indexing: index | summary }
        field price type float { indexing: attribute }
        field brand type string { indexing: attribute }
        field tags type weightedset<string> { indexing: attribute }
        field photo type tensor<float>(d0[1], x[8]) { indexing: attribute }
        field created type long { indexing: attribute }
    }
    onnx-model scorer {
        file: models/scorer.onnx
        input "price:0": attribute(price)
        input user: query(user)
        input mix: blended
        gpu-device: 0
        intraop-threads: 2
    }
    onnx-model cross {
        file: models/cross.onnx
        input input_ids: ids
    }
    fieldset default { fields: title }
    rank-profile base {
        inputs {
            query(user) tensor<float>(x[8])
            query(boost): 1.0
        }
        function blended() { expression: attribute(price) * query(boost) + bm25(title) }
        function near() { expression: sum(query(user) * attribute(photo)) + freshness(created) }
        first-phase { expression: near() }
    }
    rank-profile full inherits base {
        # the models
        function ids() { expression: tokenInputIds(64, query(q), attribute(tokens)) }
        second-phase {
            rerank-count: 200
            expression: onnx(scorer).logit * if (attribute(brand) == 1, 2, 1)
        }
        global-phase {
            expression: onnx(cross){d0:0,d1:0}
            rerank-count: 5000
            rank-score-drop-limit: 0.1
        }
        match-features: near bm25(title)
    }
    rank-profile trees inherits base {
        first-phase { expression: lightgbm("trees.json") }
    }
    rank-profile sparse { first-phase { expression: attribute(tags) + random } }
}
"""


def write(folder: Path, text: str = SCHEMA) -> Path:
    path = folder / "schemas" / "product.sd"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, profile: str | None, text: str = SCHEMA) -> Draft:
    return read_vespa(write(folder, text), name="shop", profile=profile)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return read(tmp_path_factory.mktemp("application"), "full")


def test_phases_with_models_become_ranker_and_reranker(full: Draft) -> None:
    config = pipeline(full)
    assert config.reranker is not None
    assert (config.required_ranker().model, config.required_ranker().output) == ("scorer", "logit")
    assert (config.reranker.model, config.reranker.best) == ("cross", 1000)
    assert full.settings["reranker.best"].decide == "5000 in Vespa, at most 1000 here"
    assert config.models["scorer"].runtime.threads == 2


def test_attributes_and_query_inputs_become_features(full: Draft) -> None:
    found = features(full)
    of_items = {"item.price", "item.brand", "item.photo", "item.created_at_s"}
    assert of_items | {"context.user", "context.boost"} <= set(found)
    assert found["item.photo"].shape == (8,), "without the batch of one"
    boost = found["context.boost"]
    assert (boost.dtype, boost.shape, boost.default) == ("float32", (), 1.0)
    assert found["context.query"].is_text, "the cross-encoder reads it"


def test_comments_name_the_inputs_of_each_model(full: Draft) -> None:
    scorer, cross = (full.settings[f"models.{name}.artifact"] for name in ("scorer", "cross"))
    assert scorer.note.startswith("Its inputs: price:0=item.price, user=context.user, mix=(blended)")
    assert (
        scorer.decide
        == "make an artifact from models/scorer.onnx. The expression around it belongs into the graph"
    )
    assert cross.note == "Its inputs: input_ids=tokens.ids"
    assert "cross-encoder" in cross.decide


def test_every_part_of_the_profile_has_an_outcome(full: Draft) -> None:
    found = outcomes(full)
    assert found["attribute(price)"] == found["query(user)"] == "mapped"
    assert found["first-phase"] == found["attribute(brand)"] == found["input mix"] == "decide"
    assert found["freshness(created)"] == found["fields tags"] == "decide"
    assert (
        found["rank-profiles base, trees, sparse"] == found["rank-profile full: match-features"] == "decide"
    )
    none = ("bm25(title)", "onnx-model scorer: gpu-device", "global-phase: rank-score-drop-limit", "fieldset")
    assert {found[source] for source in none} == {"none"}


def test_the_vector_of_trees_is_read_from_the_applications_models(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    names = ["attribute(price)", "query(boost)", "bm25(title)"]
    (tmp_path / "models" / "trees.json").write_text(json.dumps({"feature_names": names}))
    draft = read(tmp_path, "trees")
    note_ = "Its vector, in this order: item.price, context.boost, (bm25(title))"
    assert draft.settings["models.trees.artifact"].note == note_
    trees = [{"split": "attribute(price)", "children": [{"leaf": 1}, {"split": "bm25(title)"}]}]
    (tmp_path / "models" / "trees.json").write_text(json.dumps(trees))
    note_ = "Its vector, in this order: item.price, (bm25(title))"
    assert read(tmp_path, "trees").settings["models.trees.artifact"].note == note_


def test_a_damaged_tree_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "trees.json").write_text("{")
    with pytest.raises(ConfigError, match=r"trees\.json: cannot be read as JSON"):
        read(tmp_path, "trees")


def test_a_profile_without_a_model_asks_for_one(tmp_path: Path) -> None:
    draft = read(tmp_path, "sparse")
    assert pipeline(draft).required_ranker().model == "ranker"
    assert outcomes(draft)["attribute(tags)"] == outcomes(draft)["random"] == "none"
    assert "fixed shape" in note(draft, "attribute(tags)")


def test_profiles_in_files_of_their_own_are_found_in_an_application_folder(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "schemas" / "product").mkdir()
    text = "rank-profile own inherits base {\n  first-phase { expression: onnx(scorer) }\n}"
    (tmp_path / "schemas" / "product" / "own.profile").write_text(text)
    assert pipeline(read_vespa(tmp_path, name="shop", profile="own")).required_ranker().model == "scorer"


def test_a_profile_may_inherit_vespas_own_of_the_same_name(tmp_path: Path) -> None:
    text = "schema a { rank-profile default inherits default { first-phase { expression: random } } }"
    assert outcomes(read(tmp_path, None, text))["random"] == "none"


@pytest.mark.parametrize(
    ("text", "profile", "message"),
    [
        (SCHEMA, None, "expected one rank-profile, got base, full, trees, sparse; choose with --profile"),
        (SCHEMA, "gone", "no such rank-profile, got 'gone'; name one of base"),
        ("document a {}", None, "expected a schema"),
        ("schema a { rank-profile b inherits c {} }", None, "inherits a profile that is not there, got c"),
        ("schema a { rank-profile b inherits b {} }", None, "rank-profile b: inherits itself"),
        ("schema a {", None, "product.sd:1: the block has no closing brace"),
    ],
)
def test_a_faulty_schema_is_refused(tmp_path: Path, text: str, profile: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, profile, text)


def test_one_of_several_schemas_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one schema file, got none"):
        read_vespa(tmp_path, name="shop", profile=None)
    write(tmp_path)
    (tmp_path / "schemas" / "other.sd").write_text("schema other {}")
    with pytest.raises(ConfigError, match=r"other\.sd, .*product\.sd; name the \.sd file"):
        read_vespa(tmp_path, name="shop", profile=None)
