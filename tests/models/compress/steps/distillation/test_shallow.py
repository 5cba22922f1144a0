"""Students with some of their parent's layers."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.architectures import build_architecture
from models.architectures.base import Architecture
from models.architectures.history_ranker import HistoryRanker
from models.compress.steps.distillation import STEP
from models.compress.steps.distillation.options import DistilOptions
from models.compress.steps.distillation.shallow import kept_layers, with_fewer_layers
from models.compress.steps.modules import loaded
from models.errors import TrainingError
from models.features.catalogue import Catalogue
from tests.models.compress.works import RandomData, assert_serves, child_of, make_parent, make_work
from tests.models.runtimes.shapes import make_classifier
from tests.models.worlds import RANKER, make_pooled


def make_deep() -> Architecture:
    torch.manual_seed(0)
    return HistoryRanker(RANKER.model_copy(update={"layers": 3})).eval()


def make_deep_classifier() -> Architecture:
    torch.manual_seed(0)
    options = make_classifier().options.model_dump()
    config = {**options["config"], "num_hidden_layers": 3}
    return build_architecture({**options, "config": config}).eval()


@given(st.integers(2, 48), st.data())
def test_kept_layers_are_evenly_spaced(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, total))
    kept = kept_layers(total, count)
    assert len(set(kept)) == count
    assert kept == sorted(kept)
    assert kept[-1] == total - 1
    gaps = {after - before for before, after in pairwise(kept)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("make", [make_deep, make_deep_classifier])
def test_a_student_begins_with_layers_of_its_parent(make: Callable[[], Architecture]) -> None:
    parent = make()
    student = with_fewer_layers(parent, 2)
    before, after = parent.state_dict(), student.state_dict()
    moved = {name: name.replace("layers.1.", "layers.2.").replace("layer.1.", "layer.2.") for name in after}
    assert all(torch.equal(value, before[moved[name]]) for name, value in after.items())


@pytest.mark.parametrize("make", [make_deep, make_deep_classifier])
def test_a_shallow_student_is_trained_and_served(
    make: Callable[[], Architecture], tmp_path: Path, catalogue: Catalogue
) -> None:
    parent = make_parent(tmp_path / "parent", make())
    options = DistilOptions.model_validate(
        {"student": {"architecture": "parent", "layers": 1}, "fit": {"epochs": 1, "lists_per_step": 32}}
    )
    work = make_work(parent, tmp_path / "scratch", RandomData(catalogue))
    STEP.run(options, parent, tmp_path / "child", work)
    child = child_of(tmp_path / "child")
    assert len(loaded(child, "test").state_dict()) < len(loaded(parent, "test").state_dict())
    assert_serves(child)


@pytest.mark.parametrize(("make", "total"), [(make_deep, 3), (make_pooled, 0)])
def test_a_student_needs_fewer_layers_than_its_parent(make: Callable[[], Architecture], total: int) -> None:
    with pytest.raises(
        TrainingError, match=rf"student\.layers: must be below the parent's {total} layers, got 3"
    ):
        with_fewer_layers(make(), 3)
