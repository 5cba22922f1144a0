"""A load that fails at any step leaves no file open and no thread running."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.errors import ModelError
from services.config.loading import load_config
from services.config.pipeline import PipelineConfig
from services.errors import ConfigError, StageFailed
from services.releases.loading import live_release_steps
from services.releases.release import LiveRelease
from services.releases.shared_parts import SharedParts
from services.releases.steps import Steps, complete
from services.releases.warmup import sample_batch
from tests.overlaid import make_overlaid_pipeline, set_bonus
from tests.pipelines import WITH_RERANKER, make_pipeline, merged
from tests.services.releasing import write_shifted

LIMIT_S = 5.0
FALLBACKS = merged(WITH_RERANKER, {"fallback": {"model": "small", "popular": {"column": "value"}}})
FULL: dict[str, Any] = merged(FALLBACKS, {"models": {"small": {"artifact": "small"}}})
"""A pipeline with every kind of step: a store, a ranker, a reranker, a fallback model and answers from memory."""


class Stopped(Exception):
    """Raised between two steps."""


def steps_of(config: PipelineConfig, home: Path, shared: SharedParts) -> Steps[LiveRelease]:
    stages = config.units[config.ingress_unit].stages
    return live_release_steps(config, home, stages, shared, lambda release: release.pipeline({}))


def in_use(home: Path) -> set[str]:
    """Return the open or mapped files under ``home``, and the names of threads that watch folders."""
    paths = {line[line.find("/") :] for line in Path("/proc/self/maps").read_text().splitlines()}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own descriptor
            paths.add(os.readlink(descriptor))
    threads = {thread.name for thread in threading.enumerate() if thread.name == "refresh"}
    return threads | {path for path in paths if path.startswith(f"{home}/")}


def left_open(home: Path) -> set[str]:
    """Return the files and threads that are still in use after the stopped threads have ended."""
    for thread in threading.enumerate():
        if thread.name == "refresh":
            thread.join(LIMIT_S)
    return in_use(home)


def full_pipeline(home: Path) -> PipelineConfig:
    path = make_pipeline(home, FULL)
    shutil.copytree(home / "model", home / "small")
    return load_config(path)


@pytest.fixture(scope="module", name="homes")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    homes = {name: tmp_path_factory.mktemp(name) for name in ("full", "watching")}
    full_pipeline(homes["full"])
    set_bonus(load_config(make_overlaid_pipeline(homes["watching"])), homes["watching"], 1.0, "item-1")
    return homes


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("full", {"/catalogue/", "/users.lmdb/"}),
        ("watching", {"/catalogue/", "/overlay/", "refresh"}),
    ],
)
def test_a_load_stopped_after_any_step_leaves_nothing_open(
    homes: dict[str, Path], name: str, used: set[str]
) -> None:
    home, shared = homes[name], SharedParts()
    config = load_config(home / "pipeline.yaml")
    most_in_use = set[str]()
    errors = list[Exception]()

    def stopped_after(count: int) -> bool:
        done = 0

        def between() -> None:
            nonlocal done
            done += 1
            if done == count:
                most_in_use.update(in_use(home))
                raise Stopped

        try:
            complete(steps_of(config, home, shared), between).release.close()
        except Stopped as error:
            errors.append(error)  # as a log or a debugger may do. The error must keep nothing open
            return True
        return False

    while stopped_after(len(errors) + 1):
        assert left_open(home) == set()
    assert len(errors) > 10
    assert {name for name in used if any(name in path for path in most_in_use)} == used
    assert left_open(home) == set()


def _drop(path: str) -> Callable[[Path], None]:
    def drop(home: Path) -> None:
        target = home / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return drop


def _change(**changes: Any) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        path = home / "pipeline.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), changes)))

    return change


def _make_scores_nan(home: Path) -> None:
    write_shifted(home / "model", float("nan"))


def _define_other_features(home: Path) -> None:
    path = home / "features.yaml"
    document = yaml.safe_load(path.read_text())
    document["features"][0]["default"] = 5.0
    path.write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_drop("features.yaml"), "no feature definitions"),
        (_drop("catalogue/catalogue.yaml"), "catalogue"),
        (
            _define_other_features,
            r"expected the feature hash of features\.definitions, .*, got .*; "
            "rebuild the catalogue and the definitions together",
        ),
        (_change(features={"overlay": "nowhere"}), "nowhere"),
        (_change(candidates={"count": 501}), "candidates.count"),
        (_drop("users.lmdb"), "no feature store"),
        (_drop("model/model.onnx"), "model.onnx is missing"),
        (_drop("reranker/model.onnx"), "model.onnx is missing"),
        (_change(reranker={"rules": {"cap": {"column": "none", "most": 1}}}), "no column 'none'"),
        (_drop("small/model.onnx"), "model.onnx is missing"),
        (_change(fallback={"lists": "none.parquet"}), "none.parquet cannot be read"),
        (_change(fallback={"popular": {"column": "none"}}), "no column 'none'"),
        (_make_scores_nan, "scores must be finite"),
    ],
)
def test_a_failed_step_leaves_nothing_open(
    tmp_path: Path, homes: dict[str, Path], spoil: Callable[[Path], None], why: str
) -> None:
    home = Path(shutil.copytree(homes["full"], tmp_path / "home"))
    spoil(home)
    config = load_config(home / "pipeline.yaml")
    with pytest.raises((ConfigError, ModelError, StageFailed), match=why) as raised:
        complete(steps_of(config, home, SharedParts()))
    assert left_open(home) == set()
    assert raised.value.__traceback__ is not None


def test_a_failed_load_leaves_the_parts_of_other_releases_open(homes: dict[str, Path]) -> None:
    home, shared = homes["full"], SharedParts()
    config = load_config(home / "pipeline.yaml")
    release = complete(steps_of(config, home, shared)).release
    before = left_open(home)
    done = 0

    def stop_in_warm_up() -> None:
        nonlocal done
        done += 1
        if done == 12:
            raise Stopped

    with pytest.raises(Stopped):
        complete(steps_of(config, home, shared), stop_in_warm_up)
    assert left_open(home) == before
    assert release.memory is not None
    features = release.stages["features"]
    batch = sample_batch(release.layout, release.view, len(release.catalogue), 1, 1)
    bias = features(batch).requests["user.bias"]
    assert isinstance(bias, np.ndarray)
    assert bias.tolist() == [0.0]
    release.close()
