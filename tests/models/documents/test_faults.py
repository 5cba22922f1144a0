"""The line for each fault of a document."""

from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.documents.faults import fault_lines
from models.features.definition import FeatureSet
from models.training.config import TrainingConfig


class Size(BaseModel):
    model_config = ConfigDict(extra="forbid")
    layers: int
    width: int = 8


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["square"]
    side: float


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["circle"]
    radius: float


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    size: Literal["small", "large"] | Size = "small"
    shape: Annotated[Square | Circle, Field(discriminator="kind")] | None = None
    limits: dict[str, float | tuple[float, ...]] = {}
    parts: tuple[Size, ...] = ()


def faults(text: str, model: type[BaseModel] = Document) -> list[str]:
    data = yaml.safe_load(text)
    with pytest.raises(ValidationError) as refused:
        model.model_validate(data)
    return fault_lines(refused.value, data, model, "a.yaml", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nme: x", ["a.yaml:1: nme: no such field; did you mean name?"]),
        ("colour: x", ["a.yaml:1: colour: no such field; remove it or correct its name"]),
        ("size: medium", ["a.yaml:1: size: Input should be 'small' or 'large', got 'medium'"]),
        (
            "name: x\nsize:\n  layrs: 1",
            [
                "a.yaml:2: size.layers: missing; add it",
                "a.yaml:3: size.layrs: no such field; did you mean layers?",
            ],
        ),
        (
            "size: {layers: x}",
            [
                "a.yaml:1: size.layers: Input should be a valid integer, unable to parse string as an integer, got 'x'"
            ],
        ),
        (
            "shape:\n  kind: circle\n  radious: 1\n  radius: 2",
            ["a.yaml:3: shape.radious: no such field; did you mean radius?"],
        ),
        (
            "parts:\n- layers: 1\n- layers: 1\n  with: 2",
            ["a.yaml:4: parts.1.with: no such field; did you mean width?"],
        ),
        (
            "limits:\n  a: x",
            [
                "a.yaml:2: limits.a: Input should be a valid number, unable to parse string as a number, got 'x'"
            ],
        ),
        (
            "limits:\n  a: [1, x]",
            [
                "a.yaml:2: limits.a.1: Input should be a valid number, unable to parse string as a number, got 'x'"
            ],
        ),
    ],
)
def test_line_names_the_place_and_only_the_likely_branch(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


FEATURE = "features:\n- name: price\n  group: item\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FEATURE + "  dtpye: float32", "a.yaml:4: features.0.dtpye: no such field; did you mean dtype?"),
        (FEATURE + "  default: [1, x]", "a.yaml:4: features.0.default.1: Input should be a valid number"),
        (
            FEATURE + "  transform: {kind: log, oof: item.x}",
            "a.yaml:4: features.0.transform.oof: no such field; did you mean of?",
        ),
        (FEATURE + "  aggregate: {kind: count, event: seen, windoww_s: 3}", "did you mean window_s?"),
        ("featuresx: []", "a.yaml:1: featuresx: no such field; did you mean features?"),
    ],
)
def test_feature_definitions_are_reported_alike(text: str, expected: str) -> None:
    assert any(expected in line for line in faults(text, FeatureSet)), faults(text, FeatureSet)


TRAINING = "data: x\nranker:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "  kind: forest",
            ["a.yaml:2: ranker.kind: must be history or lightgbm, got 'forest'; use one of these"],
        ),
        ("  kind: lightgbm\n  tree: 3", ["a.yaml:4: ranker.tree: no such field; did you mean trees?"]),
        ("  items: [a]\n  dropuot: 0", ["a.yaml:4: ranker.dropuot: no such field; did you mean dropout?"]),
        ("  items: [a]\n  tree: 3", ["a.yaml:4: ranker.tree: no such field; remove it or correct its name"]),
        ("  dropout: 0", ["a.yaml:2: ranker.items: missing; add it"]),
    ],
)
def test_only_the_fields_of_the_given_or_default_kind_count(text: str, expected: list[str]) -> None:
    assert faults(TRAINING + text, TrainingConfig) == expected


EVENTS = "data: x\nranker: {items: [a]}\nevents:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  filez: {events: a}", ["a.yaml:4: events.filez: no such field; did you mean files?"]),
        (
            "  files:\n    eventz: a",
            ["a.yaml:5: events.files.eventz: no such field; did you mean events?"],
        ),
        ("  shop.csv", ["a.yaml:3: events: expected a mapping, got 'shop.csv'"]),
        (
            "  files: {events: a}",
            ["a.yaml:3: events: columns: missing; name the columns user, item and time of the events"],
        ),
    ],
)
def test_event_files_are_reported_alike(text: str, expected: list[str]) -> None:
    assert faults(EVENTS + text, TrainingConfig) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "size", "kind", "layers", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=st.dictionaries(st.sampled_from([*Document.model_fields, "x"]), VALUES))
def test_every_refused_document_has_a_line(data: dict[str, Any]) -> None:
    try:
        Document.model_validate(data)
    except ValidationError as error:
        lines = fault_lines(error, data, Document, "a.yaml", yaml.safe_dump(data))
        assert lines
        assert all(line.startswith("a.yaml") for line in lines)


def test_values_of_any_size_are_shortened() -> None:
    nested = ["a: &a0 [x, x, x]"]
    nested += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    lines = faults("\n".join([*nested, "name: *a11"]))
    assert lines[0].startswith("a.yaml:13: name: Input should be a valid string, got [[[...], ")
    assert max(map(len, lines)) < 300
    assert faults("name: 0x" + "f" * 10_000) == [
        "a.yaml:1: name: Input should be a valid string, got a number of 40000 bits"
    ]


def test_first_faults_are_listed_and_the_others_counted() -> None:
    lines = faults("".join(f"field{n}: 1\n" for n in range(20_000)))
    assert lines[0] == "a.yaml:1: field0: no such field; remove it or correct its name"
    assert len(lines) == 21
    assert lines[-1] == "a.yaml: 19,980 more faults"


@pytest.mark.parametrize("key", ["1", "null", "2020-01-01"])
def test_name_of_a_field_that_is_not_text_is_reported(key: str) -> None:
    (line,) = faults(f"{key}: 3")
    assert "expected text as the name of a field, got " in line
