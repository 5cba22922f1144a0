"""The parser of the text format agrees with that of protocol buffers."""

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.convert.triton.text_format import parsed
from services.errors import ConfigError

text_format: Any = import_module("google.protobuf.text_format")
descriptors: Any = import_module("google.protobuf.descriptor_pb2")

TEXTS = st.text(max_size=12)
OPTIONS = st.builds(
    descriptors.UninterpretedOption,
    identifier_value=st.none() | TEXTS,
    positive_int_value=st.none() | st.integers(0, 2**64 - 1),
    negative_int_value=st.none() | st.integers(-(2**63), 2**63 - 1),
    double_value=st.none() | st.floats(allow_nan=False),
    string_value=st.none() | TEXTS.map(str.encode),
)
FIELDS = st.builds(
    descriptors.FieldDescriptorProto,
    name=TEXTS,
    number=st.none() | st.integers(-(2**31), 2**31 - 1),
    label=st.none() | st.sampled_from([1, 2, 3]),
    proto3_optional=st.none() | st.booleans(),
    options=st.none()
    | st.builds(
        lambda options: descriptors.FieldOptions(uninterpreted_option=options), st.lists(OPTIONS, max_size=3)
    ),
)
MESSAGES = st.builds(
    descriptors.DescriptorProto,
    name=st.none() | TEXTS,
    field=st.lists(FIELDS, max_size=3),
    reserved_name=st.lists(TEXTS, max_size=3),
)


def as_dict(message: Any) -> dict[str, Any]:
    """Return the fields of a message in the form of the parser."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        values = [_plain(field, each) for each in value] if field.is_repeated else [_plain(field, value)]
        found[field.name] = values[0] if len(values) == 1 else values
    return found


def _plain(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.message_type is not None:
        return as_dict(value)
    return value.decode() if isinstance(value, bytes) else value


def single(value: Any) -> Any:
    """Return a parsed value with lists of one element as the element."""
    if isinstance(value, dict):
        return {name: single(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return single(value[0]) if len(value) == 1 else [single(inner) for inner in value]
    return value


@given(MESSAGES, st.booleans(), st.booleans(), st.booleans())
def test_reads_whatever_protocol_buffers_write(
    message: Any, one_line: bool, short: bool, pointy: bool
) -> None:
    text = text_format.MessageToString(
        message, as_one_line=one_line, use_short_repeated_primitives=short, pointy_brackets=pointy
    )
    assert single(parsed(text, "config.pbtxt")) == as_dict(message)


@given(st.text(alphabet=st.sampled_from("a:{}[]<>,;\"'\\#\n -.0x9eEf"), max_size=40))
def test_any_text_is_read_or_refused_with_line_and_column(text: str) -> None:
    try:
        parsed(text, "config.pbtxt")
    except ConfigError as error:
        assert str(error).startswith("config.pbtxt:")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 0x1F", 31),
        ("a: 017", 15),
        ("a: -1.5e3", -1500.0),
        ("a: 2.f", 2.0),
        ("a: -inf", float("-inf")),
        ("a: 'it''s'", "its"),
        (r'a: "\n\x41\101é"', "\nAAé"),
        ("a: TYPE_FP32", "TYPE_FP32"),
        ("a: true # comment", True),
        ("a: [1, 2]; a: 3,", [1, 2, 3]),
        ("a: []", []),
        ("a { b: 1 } a < b: 2 >", [{"b": 1}, {"b": 2}]),
        ("a: [{b: 1}, {b: 2}]", [{"b": 1}, {"b": 2}]),
        ("a {}", {}),
    ],
)
def test_reads_every_form_of_value(text: str, value: Any) -> None:
    assert parsed(text, "f") == {"a": value}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a {\n  b: 1\n", "3:1", "got the end of the file"),
        ("a: 1\n}", "2:1", "expected the name of a field"),
        ("a 1", "1:3", "expected : or {"),
        ('a: "x\ny"', "1:4", "expected a value"),
        ("a: [1 2]", "1:7", "expected , or ]"),
        ("a {" * 70, "1:", "at most 64 messages"),
        ("a: " + "9" * 500, "1:", "at most 400 digits"),
    ],
)
def test_errors_name_line_and_column(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(text, "config.pbtxt")
    assert str(caught.value).startswith(f"config.pbtxt:{place}")
    assert problem in str(caught.value)
