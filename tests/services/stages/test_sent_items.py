"""Candidates that a request sends as objects: their features are checked, and become columns of a batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.features.catalogue import Catalogue, item_key
from models.features.catalogue_writer import write_catalogue
from models.features.definition import Feature, FeatureSet
from models.features.sent import FIRST_UNKNOWN_ROW, KEYS, UNKNOWN
from models.features.transforms import Affine
from services.errors import Unprocessable
from services.stages.sent_items import ItemLayout

FEATURES = FeatureSet(
    features=(
        Feature(name="price", group="item", default=5.0, minimum=0, maximum=1000),
        Feature(name="doubled", group="item", transform=Affine(of="item.price", scale=2.0)),
        Feature(name="colours", group="item", shape=(3,)),
        Feature(name="shelf", group="item", dtype="int8"),
        Feature(name="position", group="context", shape=(2,)),
    )
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    root: Path = tmp_path_factory.mktemp("shop") / "catalogue"
    write_catalogue(
        root,
        name="shop",
        version="1",
        features=FEATURES,
        ids=["a", "b", "c"],
        columns={
            "price": np.array([1, 2, 3], dtype=np.float32),
            "colours": np.eye(3, dtype=np.float32),
            "shelf": np.array([1, 2, 3], dtype=np.int8),
            "cell": np.array([7, 8, 9], dtype=np.int32),
            "sold": np.array([True, False, True]),
        },
        details=[b"{}"] * 3,
    )
    return Catalogue.open(root)


def columns(shop: Catalogue, *candidates: Any) -> tuple[list[int], dict[str, Any]]:
    """Return the rows, and the columns of a batch with this one request."""
    layout = ItemLayout(shop, FEATURES)
    rows, sent = layout.read(candidates, 10)
    assert sent is not None
    return rows.tolist(), layout.columns(rows, [0], [sent])


def test_new_item_has_its_features_and_defaults_for_the_others(shop: Catalogue) -> None:
    rows, found = columns(shop, "b", {"id": "new", "features": {"price": 30}}, {"id": "other"})
    assert rows == [shop.row_by_id["b"], FIRST_UNKNOWN_ROW, FIRST_UNKNOWN_ROW + 1]
    assert found["item.price"].tolist() == [2.0, 30.0, 5.0]
    assert found["item.doubled"].tolist() == [4.0, 60.0, 10.0]
    assert found["item.colours"].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found["item.shelf"].tolist() == [2, 0, 0]
    assert found["item.cell"].tolist() == [8, -1, -1]
    assert found["item.sold"].tolist() == [False, False, False]
    assert found[UNKNOWN].tolist() == [False, True, True]
    assert found[KEYS].tolist() == [item_key(item_id) for item_id in ("b", "new", "other")]
    for name, column in shop.columns.items():
        assert found[f"item.{name}"].dtype == column.dtype


def test_item_of_the_catalogue_keeps_the_features_that_are_not_sent(shop: Catalogue) -> None:
    rows, found = columns(shop, {"id": "c", "features": {"price": 30, "colours": [1, 2, 3.5]}})
    assert rows == [shop.row_by_id["c"]]
    assert found["item.price"].tolist() == [30.0]
    assert found["item.doubled"].tolist() == [60.0]
    assert found["item.colours"].tolist() == [[1, 2, 3.5]]
    assert found["item.shelf"].tolist() == [3]
    assert found["item.cell"].tolist() == [9]
    assert found[UNKNOWN].tolist() == [False]


def test_repeated_id_is_ranked_once(shop: Catalogue) -> None:
    rows, found = columns(shop, "a", {"id": "new"}, "a", "new")
    assert rows == [shop.row_by_id["a"], FIRST_UNKNOWN_ROW]
    assert len(found[KEYS]) == 2


def test_items_that_are_sent_together_have_the_values_of_each_alone(shop: Catalogue) -> None:
    sent: list[dict[str, Any]] = [
        {"id": "new", "features": {"price": 30, "shelf": 3.0}},
        {"id": "b", "features": {"colours": [1, 2.5, 3]}},
        {"id": "c"},
        {"id": "other", "features": {"price": 0.1, "colours": [0, 0, 1], "cell": 4}},
    ]
    _, together = columns(shop, *sent)
    for place, item in enumerate(sent):
        _, alone = columns(shop, item)
        for name in (f"item.{column}" for column in shop.columns):
            np.testing.assert_array_equal(together[name][place], alone[name][0])


def test_error_names_the_first_of_several_items_with_a_wrong_feature(shop: Catalogue) -> None:
    with pytest.raises(Unprocessable, match=r"candidates\[2\]\.features\.price: .*got -1") as refused:
        columns(shop, {"id": "n"}, *[{"id": f"n{p}", "features": {"price": p}} for p in (5, -1, -2)])
    assert refused.value.field == "candidates[2].features.price"


FAULTS: list[tuple[Any, str, str]] = [
    ("nowhere", "", "not in catalogue shop 1, got 'nowhere'; send ids from this catalogue, or an object"),
    ({"features": {}}, ".id", "expected 1 to 256 characters, got None"),
    ({"id": ""}, ".id", "expected 1 to 256 characters, got ''"),
    ({"id": "x" * 1_000_000}, ".id", "expected 1 to 256 characters, got 'xxx"),
    ({"id": 7}, ".id", "expected 1 to 256 characters, got 7"),
    ({"id": "a"}, ".id", "is in the list twice, got 'a'"),
    ({"id": "n", "price": 3}, ".price", "no such field; send id and features"),
    ({"id": "n", "features": [3]}, ".features", "expected an object, got [3]"),
    ({"id": "n", "features": {"prize": 3}}, ".features.prize", "send some of price, colours, shelf, cell"),
    ({"id": "n", "features": {"doubled": 3}}, ".features.doubled", "is computed from item.price; send that"),
    ({"id": "n", "features": {"sold": 1}}, ".features.sold", "not an item feature"),
    ({"id": "n", "features": {"price": "3"}}, ".features.price", "got '3'; send a number"),
    ({"id": "n", "features": {"price": None}}, ".features.price", "got None; send a number"),
    ({"id": "n", "features": {"price": True}}, ".features.price", "got True; send a number"),
    ({"id": "n", "features": {"price": [3]}}, ".features.price", "got [3]; send a number"),
    ({"id": "n", "features": {"price": {}}}, ".features.price", "got {}; send a number"),
    ({"id": "n", "features": {"price": -1}}, ".features.price", "must be a number from 0 to 1000, got -1"),
    (
        {"id": "n", "features": {"price": 10**400}},
        ".features.price",
        "must be a number from 0 to 1000, got 1000",
    ),
    ({"id": "n", "features": {"price": float("nan")}}, ".features.price", "got nan"),
    ({"id": "n", "features": {"shelf": 1.5}}, ".features.shelf", "must be a whole number from -128 to 127"),
    ({"id": "n", "features": {"shelf": 128}}, ".features.shelf", "must be a whole number from -128 to 127"),
    ({"id": "n", "features": {"colours": [1, 2]}}, ".features.colours", "send a list of 3 numbers"),
    ({"id": "n", "features": {"colours": 1}}, ".features.colours", "send a list of 3 numbers"),
    ({"id": "n", "features": {"colours": [1, 2, 1e39]}}, ".features.colours", "got 1e+39"),
    ({"id": "n", "features": {"colours": [1, 2, [3]]}}, ".features.colours", "send a list of 3 numbers"),
]


@pytest.mark.parametrize(("candidate", "field", "message"), FAULTS)
def test_error_names_the_index_and_the_feature(
    shop: Catalogue, candidate: Any, field: str, message: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        ItemLayout(shop, FEATURES).read(["a", candidate], 10)
    assert refused.value.field == f"candidates[1]{field}"
    assert refused.value.detail.startswith(f"candidates[1]{field}: ")
    assert message in refused.value.detail
    assert len(refused.value.detail) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        JSON.filter(lambda value: isinstance(value, str | dict))
        | st.fixed_dictionaries(
            {"id": st.sampled_from(["a", "n", "m"])},
            optional={"features": st.dictionaries(st.sampled_from(["price", "shelf", "colours"]), JSON)},
        ),
        max_size=5,
    )
)
def test_any_list_is_read_or_refused(shop: Catalogue, candidates: list[Any]) -> None:
    layout = ItemLayout(shop, FEATURES)
    try:
        rows, sent = layout.read(candidates, 4)
    except Unprocessable as error:
        assert error.field is not None
        assert error.field.startswith("candidates")
        return
    if sent is not None:
        found = layout.columns(rows, [0], [sent])
        assert all(len(column) == len(rows) for column in found.values())
        assert np.isfinite(found["item.price"]).all()


def test_refuses_objects_if_a_part_of_the_pipeline_needs_the_catalogue(shop: Catalogue) -> None:
    layout = ItemLayout(shop, FEATURES, "the stage boost")
    with pytest.raises(
        Unprocessable, match=r"candidates\[0\]: the stage boost of this pipeline can rank items of"
    ):
        layout.read([{"id": "n"}], 10)
    assert layout.read(["a"], 10)[1] is None
    assert layout.key_of("a") == item_key("a")
    with pytest.raises(Unprocessable, match="not in catalogue shop, got 'n'; send an item id from an answer"):
        layout.key_of("n")
