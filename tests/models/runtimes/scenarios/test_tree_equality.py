"""A tree model has the same scores in ONNX Runtime and in its own library, for any rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.importing import lightgbm, xgboost
from models.importing.converted import ABSOLUTE_TOLERANCE, INPUT, RELATIVE_TOLERANCE, Original
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.kinds.registry import runtime_config
from tests.models.runtimes.trees.models import CATEGORIES, artifact_of, lightgbm_text, rows, xgboost_json

MODELS: dict[str, Callable[[Path], Original]] = {
    "lightgbm": lambda path: lightgbm.load(lightgbm_text(path)),
    "lightgbm-categories": lambda path: lightgbm.load(lightgbm_text(path, categorical=True)),
    "lightgbm-binary": lambda path: lightgbm.load(lightgbm_text(path, objective="binary", sigmoid=2.0)),
    "lightgbm-zero-missing": lambda path: lightgbm.load(lightgbm_text(path, zero_as_missing=True)),
    "xgboost": lambda path: xgboost.load(xgboost_json(path)),
    "xgboost-categories": lambda path: xgboost.load(xgboost_json(path, categorical=True)),
    "xgboost-logistic": lambda path: xgboost.load(xgboost_json(path, objective="binary:logistic")),
    "xgboost-dart": lambda path: xgboost.load(xgboost_json(path, booster="dart", rate_drop=0.5)),
}


class Sides:
    """One model, loaded by ONNX Runtime and by its library with one and with two threads."""

    def __init__(self, make: Callable[[Path], Original], folder: Path) -> None:
        self.original = make(folder / "model.json")
        native = self.original.native
        assert native is not None
        artifact = artifact_of(self.original, folder / "artifact")
        kinds = ({"kind": "onnx"}, {"kind": native.kind}, {"kind": native.kind, "threads": 2})
        self.runtimes: list[Runtime] = [
            load_runtime(folder / "artifact", artifact, runtime_config(**kind)) for kind in kinds
        ]

    def assert_equal_on(self, values: np.ndarray) -> None:
        onnx, one, two = (runtime.run({INPUT: values})["score"] for runtime in self.runtimes)
        assert onnx.shape == one.shape == (len(values), 1)
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, two)
        allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * float(np.abs(one).max(initial=0.0))
        np.testing.assert_allclose(onnx, one, atol=allowed, rtol=0)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sides]:
    return {name: Sides(make, tmp_path_factory.mktemp(name)) for name, make in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
@given(count=st.integers(0, 300), seed=st.integers(0, 1000), shuffled=st.booleans())
@settings(max_examples=15, deadline=None)
def test_scores_are_equal(sides: dict[str, Sides], name: str, count: int, seed: int, shuffled: bool) -> None:
    values = rows(count, seed)
    random = np.random.default_rng(seed)
    if shuffled:  # numbers at and next to the thresholds
        for column, found in enumerate(sides[name].original.edges):
            around = np.concatenate([found, np.nextafter(found, np.float32(np.inf))])
            if len(around) and count:
                values[:, column] = random.choice(around, count)
    sides[name].assert_equal_on(values)


@pytest.mark.parametrize("name", MODELS)
def test_odd_numbers_are_equal(sides: dict[str, Sides], name: str) -> None:
    odd = [np.nan, 0, -0.0, 1e-35, -1e-35, 1e-40, 3e38, -3e38, -1, 0.5, CATEGORIES - 0.1, CATEGORIES, 1e9]
    sides[name].assert_equal_on(
        np.array(np.meshgrid(odd, odd)).reshape(2, -1)[[0, 1, 0, 1, 0]].T.astype(np.float32)
    )


def test_rows_of_any_memory_order_are_equal(sides: dict[str, Sides]) -> None:
    for name in ("lightgbm", "xgboost"):
        values = rows(64)
        ordered = sides[name].runtimes[1].run({INPUT: values})["score"]
        for same in (np.asfortranarray(values), np.repeat(values, 2, axis=0)[::2]):
            np.testing.assert_array_equal(sides[name].runtimes[1].run({INPUT: same})["score"], ordered)


def test_an_answer_does_not_change_with_the_next_call(sides: dict[str, Sides]) -> None:
    for name in ("lightgbm", "xgboost"):
        first = sides[name].runtimes[1].run({INPUT: rows(10, 1)})["score"]
        before = first.copy()
        sides[name].runtimes[1].run({INPUT: rows(10, 2)})
        np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_concurrent_calls_have_the_scores_of_single_calls(sides: dict[str, Sides], name: str) -> None:
    runtime = sides[name].runtimes[1]
    batches = [rows(40 + seed, seed) for seed in range(32)]
    expected = [runtime.run({INPUT: values})["score"] for values in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda values: runtime.run({INPUT: values})["score"], batches * 4))
    for index, scores in enumerate(found):
        np.testing.assert_array_equal(scores, expected[index % len(batches)])
