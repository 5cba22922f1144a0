from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from models.features.catalogue import Catalogue
from models.ragged import RaggedBatch
from services.stages.custom import CustomStages, StageContext, StageOptions, refuse_same_names
from tests.pipelines import FEATURES
from tests.plugins.packages import install

BATCH = RaggedBatch(
    offsets=np.array([0, 2]),
    rows=np.array([0, 1]),
    candidates={"score": np.ones(2, dtype=np.float32), "cell.crowd": np.ones(2)},
)


@pytest.mark.parametrize("name", ["features", "ranker", "reranker", "order", "queue", "memory", "mine"])
def test_rejects_duplicate_or_reserved_name(name: str) -> None:
    mine = StageOptions(kind="other", after="ranker", name="mine")
    with pytest.raises(ValueError, match=rf"stages\.1\.name: another stage has this name, got '{name}'"):
        refuse_same_names([mine, StageOptions(kind=name, after="features")])


@pytest.mark.parametrize("kind", ["Acme", "acme.boost", "a,b", ""])
def test_kind_that_is_not_a_valid_name_needs_a_name(kind: str) -> None:
    with pytest.raises(ValueError, match=r"stages\.0\.name: the kind is not a valid name"):
        refuse_same_names([StageOptions(kind=kind, after="ranker")])
    refuse_same_names([StageOptions(kind=kind, after="ranker", name="mine")])


def test_one_kind_may_run_twice_under_different_names() -> None:
    refuse_same_names(
        [StageOptions(kind="a", after="ranker"), StageOptions(kind="a", after="ranker", name="b")]
    )


def test_sample_is_unchanged_without_stages(catalogue: Catalogue, tmp_path: Path) -> None:
    stages = CustomStages((), StageContext(catalogue, FEATURES, tmp_path))
    assert stages.prepare(BATCH) is BATCH
    assert stages.after("ranker") == []


SOURCE = """
import numpy as np
from services.stages.custom import StageKind, StageOptions

def make(config, context):
    def one_of_each(batch):
        assert "score" not in batch.candidates
        return batch.keep(batch.offsets[:-1], np.arange(len(batch) + 1)).adding(candidates={"age": np.ones(len(batch))})
    return one_of_each

FIRST = StageKind(config=StageOptions, open=make)
"""


def test_sample_passes_stages_before_the_ranker_without_scores(site: Path, catalogue: Catalogue) -> None:
    install(site, "zeta", {"zeta.py": SOURCE}, {"rankway.stages": {"first": "zeta:FIRST"}})
    stages = CustomStages(
        [StageOptions(kind="first", after="features")], StageContext(catalogue, FEATURES, site)
    )
    prepared = stages.prepare(replace(BATCH))
    assert prepared.rows.tolist() == [0]
    assert {name: len(column) for name, column in prepared.candidates.items()} == {
        "cell.crowd": 1,
        "age": 1,
        "score": 1,
    }
