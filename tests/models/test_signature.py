"""Signatures: each input's axes."""

import pytest

from models.signature import InputSpec, Layout


@pytest.mark.parametrize(
    ("source", "layout", "axes"),
    [
        ("item.a", "flat", ("candidates",)),
        ("candidate.a", "list", ("requests", "candidates")),
        ("batch.mask", "list", ("requests", "candidates")),
        ("batch.request_of", "flat", ("candidates",)),
        ("user.a", "list", ("requests",)),
        ("user.a:mask", "list", ("requests", "longest")),
        ("item.a@user.b:list", "list", ("requests", "longest")),
        ("item.a@user.b", "flat", ("values of user.b",)),
        ("user.b:offsets", "flat", ("offsets",)),
        ("item.a", "chunks", ("chunks", "candidates")),
        ("batch.chunk_of", "chunks", ("chunks",)),
    ],
)
def test_leading_axes_depend_on_source_and_layout(source: str, layout: Layout, axes: tuple[str, ...]) -> None:
    assert InputSpec(name="x", source=source).axes(layout) == axes
