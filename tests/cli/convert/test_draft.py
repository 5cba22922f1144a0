"""Names that Rankway accepts are made of any text, and features stay unique."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.convert.draft import Draft, feature_name, pipeline_name


@given(st.text(max_size=100))
def test_any_text_becomes_a_valid_name(text: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", feature_name(text))
    assert re.fullmatch(r"[a-z][a-z0-9-]*", pipeline_name(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [("myTensor", "my_tensor"), ("input:0", "input_0"), ("2nd price", "f_2nd_price"), ("", "f")],
)
def test_names_resemble_the_text(text: str, name: str) -> None:
    assert feature_name(text) == name


def test_features_with_one_name_but_other_fields_are_numbered() -> None:
    draft = Draft("shop")
    columns = [draft.feature("item", "Price"), draft.feature("item", "price")]
    columns.append(draft.feature("item", "price", dtype="int32"))
    assert columns == ["item.price", "item.price", "item.price_2"]
    assert list(draft.features) == ["item.price", "item.price_2"]


def test_a_finding_is_reported_once() -> None:
    draft = Draft("shop")
    for _ in range(2):
        draft.none("random", "no")
    assert len(draft.findings) == 1
