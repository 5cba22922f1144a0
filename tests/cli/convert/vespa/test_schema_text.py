"""The parser of Vespa's schema language reads any tree of blocks, however it is laid out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.convert.vespa.schema_text import Statement, parsed
from services.errors import ConfigError

WORDS = st.sampled_from(
    ["field", "price", "rank-profile", "tensor<float>(a{},x[3])", "query(q)", '"a:{}"', "inherits"]
)
HEADS = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
VALUES = st.sampled_from(
    ["summary | attribute", "onnx(m){d0:0,d1:0}", "100", "f(a, (b))", '"} text {"', "models/m.onnx"]
)
EXPRESSIONS = st.sampled_from(["a + b", "if (a > 0, {x:1}, 2)", "foo(bar)\n  * 2"])
STATEMENTS = st.recursive(
    st.builds(Statement, HEADS, st.just(""))
    | st.builds(Statement, HEADS, VALUES)
    | st.builds(Statement, st.just("expression"), EXPRESSIONS),
    lambda inner: st.builds(
        Statement, HEADS, st.just(""), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def written(statement: Statement, data: st.DataObject, indent: str = "") -> str:
    """Return the text of a statement in one of the layouts that Vespa accepts."""
    gap = data.draw(st.sampled_from(["", " # a comment: {", "\n\n"]))
    if statement.body:
        opening = data.draw(st.sampled_from([" {", "{", "\n{"]))
        inside = "\n".join(written(each, data, indent + "  ") for each in statement.body)
        return f"{indent}{statement.head}{opening}{gap}\n{inside}\n{indent}}}"
    if statement.head == "expression":
        return f"{indent}expression {{\n{statement.value}\n{indent}}}"
    if statement.value:
        return f"{indent}{statement.head}:{data.draw(st.sampled_from(['', ' ']))}{statement.value}{gap}"
    return f"{indent}{statement.head}{gap}"


@given(st.lists(STATEMENTS, max_size=3), st.data())
def test_reads_back_any_tree_in_any_layout(statements: list[Statement], data: st.DataObject) -> None:
    text = "\n".join(written(statement, data) for statement in statements)
    assert parsed(text, "product.sd") == tuple(statements)


@given(st.text(alphabet=st.sampled_from('ab:{}()[]"#\n ,\\'), max_size=40))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    try:
        parsed(text, "product.sd")
    except ConfigError as error:
        assert str(error).startswith("product.sd:")


def test_a_block_on_one_line_ends_its_last_property() -> None:
    (field,) = parsed("field id type string { indexing: summary | index }", "product.sd")
    assert (field.head, field.text("indexing")) == ("field id type string", "summary | index")


def test_lists_of_features_are_kept_as_text() -> None:
    (features,) = parsed("match-features {\n  bm25(title)\n  onnx(m){d0:0}\n}", "product.sd")
    assert features.value.split() == ["bm25(title)", "onnx(m){d0:0}"]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("schema a {\n  document a {\n  }\n", "product.sd:1:", "no closing brace"),
        ("schema a {\n}\n}", "product.sd:3:", "closes no block"),
        ("schema a {\n  x: f(1\n}", "product.sd:2:", "expected another closing bracket, got }"),
        ("schema a {\n  x: f(1", "product.sd:2:", "a bracket is not closed"),
        ("a {" * 70, "product.sd:1:", "at most 64 blocks"),
    ],
)
def test_errors_name_the_line(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(text, "product.sd")
    assert str(caught.value).startswith(place)
    assert problem in str(caught.value)
