"""The vector that trees read as students: the parent's features of fixed shape, from its inputs or its vectors."""

import pytest

from models.compress.steps.distillation.vectors import vector_signature, width_in
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from models.signature import InputSpec, Signature
from models.vectors import VectorSpec
from tests.models.worlds import ATTRIBUTES, PROFILE, make_batch, make_ranker

WIDTHS = {"item.attributes": ATTRIBUTES, "user.profile.1": 0, "candidate.score": 0}


def signature_of_vector(**missing: float) -> Signature:
    return Signature(
        inputs=(
            InputSpec(name="v", source="vector.v", shape=(ATTRIBUTES + 2,)),
            InputSpec(name="profile", source="user.profile", shape=(PROFILE,)),
        ),
        vectors={"v": VectorSpec.model_validate({"features": list(WIDTHS), **missing})},
    )


def test_trees_read_the_features_of_a_vector_with_its_number_for_missing_ones() -> None:
    signature, names = vector_signature(
        signature_of_vector(missing=-1.0), ["candidate.score"], WIDTHS.__getitem__
    )
    assert signature.vectors == {
        "features": VectorSpec(features=("item.attributes", "user.profile"), missing=-1.0)
    }
    assert names == [f"item.attributes.{i}" for i in range(ATTRIBUTES)] + [
        f"user.profile.{i}" for i in range(PROFILE)
    ]
    assert signature.inputs[0].shape == (len(names),)


def test_widths_are_those_of_the_data(catalogue: Catalogue) -> None:
    batch = make_batch([3], [2])
    assert {name: width_in(name, batch, catalogue) for name in WIDTHS} == WIDTHS
    assert width_in("user.profile", batch, catalogue) == PROFILE


@pytest.mark.parametrize(
    ("signature", "name"),
    [(make_ranker().signature(""), "user.history_rating"), (signature_of_vector(), "vector.v")],
)
def test_unknown_features_are_refused(signature: Signature, name: str) -> None:
    with pytest.raises(TrainingError, match=rf"student\.without: .* of fixed shape, got '{name}'"):
        vector_signature(signature, [name], lambda _: 0)
