"""Inputs of a graph are matched to features by name, or as the user says."""

from typing import Any

import pytest

from models.errors import SignatureError
from models.features.catalogue import Catalogue
from models.importing.known_features import KnownFeatures
from models.importing.matching import Matched, match, parse_inputs
from models.importing.onnx_graph import GraphTensor
from tests.models.worlds import ATTRIBUTES, FEATURES, PROFILE


def matched(catalogue: Catalogue, *tensors: GraphTensor, layout: Any = "flat", **given: str) -> Matched:
    inputs = parse_inputs(f"{name}={sources}" for name, sources in given.items())
    return match(tensors, KnownFeatures(FEATURES, catalogue), inputs, layout=layout)


def tensor(name: str, *shape: int | None, dtype: str = "float32") -> GraphTensor:
    return GraphTensor(name, dtype, shape)


@pytest.mark.parametrize("name", ["item.attributes", "item_attributes", "attributes", "item__attributes"])
def test_a_name_may_be_the_feature_s_full_or_short_name(catalogue: Catalogue, name: str) -> None:
    (spec,) = matched(catalogue, tensor(name, None, ATTRIBUTES)).inputs
    assert (spec.source, spec.shape) == ("item.attributes", (ATTRIBUTES,))


def test_several_features_become_a_vector(catalogue: Catalogue) -> None:
    result = matched(catalogue, tensor("x", None, 5), x="item.attributes,user.profile.1")
    assert (result.inputs[0].source, result.inputs[0].shape) == ("vector.x", (5,))
    assert result.vectors["x"].features == ("item.attributes", "user.profile.1")
    assert result.report == ("x float32 (?, 5): vector of 5 numbers, item.attributes, user.profile.1",)


def test_a_request_feature_is_repeated_for_the_candidates_unless_the_graph_knows_the_requests(
    catalogue: Catalogue,
) -> None:
    profile = tensor("profile", None, PROFILE)
    assert matched(catalogue, profile).inputs[0].source == "vector.profile"
    requests = tensor("request_of", None, dtype="int64")
    result = matched(catalogue, profile, requests)
    assert [spec.source for spec in result.inputs] == ["user.profile", "batch.request_of"]
    assert matched(catalogue, profile, layout="list").inputs[0].source == "user.profile"


def test_sources_of_sequences_are_taken_as_given(catalogue: Catalogue) -> None:
    result = matched(
        catalogue,
        tensor("past", None, None, ATTRIBUTES),
        tensor("past_mask", None, None, dtype="bool"),
        past="item.attributes@user.history:list",
        past_mask="user.history:mask",
        layout="list",
    )
    assert [spec.shape for spec in result.inputs] == [(ATTRIBUTES,), ()]


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        (
            (None, 3),
            {},
            "no feature has this name, got 'x'; the features are item.attributes, .*name its features",
        ),
        ((None, 3), {"x": "item.popular"}, "did you mean item.popularity"),
        ((None, 3), {"x": "item.attributes,item.popularity"}, "expected 3 numbers per candidate, got 5"),
        ((None, 3), {"x": "item.attributes"}, "expected 3 numbers per candidate|expected the shape"),
        ((None, 3), {"y": "item.attributes"}, "the model has no such input, got 'y'; its inputs are x"),
        ((None,), {"x": "item.popularity,context.hour"}, "has the axes \\(N, F\\)"),
        ((None, 1), {"x": "user.history"}, "is ragged"),
        ((None, 1), {"x": "item.popularity.0"}, "one number, without an index"),
        ((None, 1), {"x": "item.attributes.9"}, "has 4 numbers"),
    ],
)
def test_an_input_without_a_fitting_feature_is_refused(
    catalogue: Catalogue, shape: tuple[int | None, ...], given: dict[str, str], message: str
) -> None:
    with pytest.raises(SignatureError, match=message):
        matched(catalogue, tensor("x", *shape), **given)


def test_a_vector_is_no_input_of_whole_numbers(catalogue: Catalogue) -> None:
    with pytest.raises(SignatureError, match="a vector is float32"):
        matched(catalogue, tensor("x", None, 2, dtype="int64"), x="item.popularity,context.hour")


@pytest.mark.parametrize(
    "texts", [["x"], ["x="], ["=item.a"], ["x=item.a,,item.b"], ["x=item.a", "x=item.b"]]
)
def test_malformed_options_are_refused(texts: list[str]) -> None:
    with pytest.raises(SignatureError, match="--input"):
        parse_inputs(texts)
