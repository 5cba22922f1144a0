"""Signatures: each input's axes."""

import pytest

from models.signature import InputSpec, Layout, Signature

OFFSETS = InputSpec(name="offsets", source="user.ragged:offsets", dtype="int64")


@pytest.mark.parametrize(
    ("source", "layout", "axes"),
    [
        ("item.a", "flat", ("candidates",)),
        ("candidate.a", "list", ("requests", "candidates")),
        ("batch.mask", "list", ("requests", "candidates")),
        ("batch.request_of", "flat", ("candidates",)),
        ("user.a", "list", ("requests",)),
        ("user.a:mask", "list", ("requests", "longest user.a")),
        ("item.a@user.b:list", "list", ("requests", "longest user.b")),
        ("user.ragged", "flat", ("values of user.ragged",)),
        ("batch.request_of", "list", ("values of batch",)),
        ("batch.chunk_of", "list", ("requests",)),
        ("item.a@user.b", "flat", ("values of user.b",)),
        ("user.b:offsets", "flat", ("offsets",)),
        ("item.a", "chunks", ("chunks", "candidates")),
        ("batch.chunk_of", "chunks", ("chunks",)),
    ],
)
def test_leading_axes_depend_on_source_and_layout(source: str, layout: Layout, axes: tuple[str, ...]) -> None:
    spec = InputSpec(name="x", source=source)
    signature = Signature(inputs=(spec, OFFSETS), layout=layout)
    assert signature.axes(spec) == axes
