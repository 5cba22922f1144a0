"""The ladder climbs all rungs with a tiny BERT."""

import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks.bert.calls import Composer
from benchmarks.bert.models import DYNAMIC, SIZES, STATIC, STATIC_7_BITS, STUDENT, quiet, write_models
from benchmarks.bert.report import tables
from benchmarks.bert.rounds import Budget
from benchmarks.bert.worker import Task, serve
from benchmarks.bert_ladder import climbed
from models.artifact import Artifact
from tests.benchmarks.bert.tokens import real, tokenizer_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bert")
    mix = real(root)
    composer = Composer(mix)
    mix.save(root / "mix.npz")
    quiet()
    write_models(
        root, SIZES["tiny"], tokenizer_in(root), [composer.inputs(mix.order[i : i + 1]) for i in range(4)]
    )
    return root


@pytest.mark.parametrize(
    ("engine", "artifact", "cache"),
    [("torch", STUDENT, 0), ("torch int8", STUDENT, 0), ("onnx", DYNAMIC, 0), ("openvino", STATIC, 100)],
)
def test_worker_executes_its_part_of_the_mix(folder: Path, engine: str, artifact: str, cache: int) -> None:
    task = Task(
        mix=str(folder / "mix.npz"),
        root=str(folder / artifact),
        engine=engine,  # type: ignore[arg-type]
        threads=1,
        padded=False,
        max_tokens=64,
        cache=cache,
    )
    answers = io.StringIO()

    serve(io.StringIO(json.dumps(asdict(task)) + "\nscores\n" + 4 * "0.0\n"), answers)

    ready, scores, *windows = map(json.loads, answers.getvalue().splitlines())
    assert ready == {"ready": True}
    assert len(scores["scores"]) == 24
    assert len(windows) == 4
    for window in windows:  # each is one call
        assert len(window["latencies_ms"]) >= 1
        assert 0 < window["tokens"] <= window["slots"]
    assert (windows[-1]["hits"] > 0) == (cache > 0)


def test_only_models_of_another_shape_or_parent_are_made_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path / "models")
    models, composer, mix = tmp_path / "models", Composer(real(folder)), real(folder)
    calls = [composer.inputs(mix.order[i : i + 1]) for i in range(4)]
    before = {path.parent.name: path.stat().st_ino for path in models.glob("*/artifact.yaml")}
    manifest = models / DYNAMIC / "artifact.yaml"
    manifest.write_text(
        manifest.read_text().replace(Artifact.read(folder / STUDENT).version, "0" * 12), encoding="utf-8"
    )

    write_models(models, SIZES["tiny"], tokenizer_in(folder), calls)

    after = {path.parent.name: path.stat().st_ino for path in models.glob("*/artifact.yaml")}
    assert {name for name in before if before[name] != after[name]} == {DYNAMIC}
    assert f"{DYNAMIC}: has another architecture, tokenizer or parent" in capsys.readouterr().err


@pytest.mark.parametrize(("artifact", "largest"), [(STATIC, 127), (STATIC_7_BITS, 64)])
def test_a_graph_for_cpus_without_vnni_has_weights_in_seven_bits(
    folder: Path, artifact: str, largest: int
) -> None:
    weights = onnx.load(folder / artifact / "model.onnx").graph.initializer
    arrays = [numpy_helper.to_array(each) for each in weights]
    found = max(int(np.abs(each.astype(int)).max()) for each in arrays if each.dtype == np.int8)
    assert found == largest


@pytest.mark.slow
def test_all_rungs_are_measured(folder: Path) -> None:
    ladder = climbed(real(folder), folder, Budget(1, 0.02), progress=lambda _text: None)

    names = [each.rung.name for each in ladder.rungs]
    assert names[0] == "BERT-base, padded"
    assert names[-2:] == ["workers", "cache"]
    assert all(len(each.rps) == 1 and each.rps[0] > 0 for each in (*ladder.rungs, *ladder.limited))
    assert ladder.rungs[0].gain == 1.0
    assert json.loads(json.dumps(ladder.data()))["rungs"][-1]["hit_rate"] > 0
    lines = {line[:18].strip(): line for line in reversed(tables(ladder).splitlines())}
    assert "over 30" not in lines["workers"]
    assert "published gain of all rungs together: over 30 (Roblox)" in tables(ladder)
    assert lines["dynamic shapes"].split("%")[1].split()[0] == "-"
