"""A history ranker is compiled for this machine by ``rankway models compile``, and runs inputs of any shape."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._inductor import config as inductor_config
from typer.testing import CliRunner

from cli.main import root as command
from models.artifact import Artifact, sha256_of
from models.assembly import InputAssembler
from models.errors import RuntimeFailure
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.base import Runtime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.registry import runtime_config
from models.runtimes.pytorch.compiled import packages
from models.runtimes.pytorch.compiled.build import build_package
from tests.models.runtimes.artifacts import write_model
from tests.models.runtimes.pytorch.compiled.test_exported import LENGTHS
from tests.models.runtimes.shapes import make_dlrm, random_inputs
from tests.models.worlds import FEATURES, make_batch, make_ranker
from tests.pipelines import make_pipeline, merged, pipeline_document

pytestmark = pytest.mark.slow
AOT = runtime_config(kind="torch", mode="aot")
TOLERANCE = 1e-4
ODD = [
    ([1], [0]),
    ([1], [1]),
    ([0, 5, 0], [3, 0, 1]),
    ([150, 1, 64], [8, 8, 0]),
]


class Compiled(NamedTuple):
    """The compiled model.

    Attributes:
        output: output of ``rankway models compile``.
        before: the artifact's files with their hashes, before it was compiled.
    """

    home: Path
    config: Path
    artifact: Artifact
    output: str
    before: dict[str, str]
    eager: Runtime
    ahead: Runtime


def run_compile(config: Path) -> str:
    arguments = ["models", "compile", str(config)]
    result = CliRunner().invoke(command(arguments), arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Compiled:
    home = tmp_path_factory.mktemp("home")
    module = make_ranker()
    assembler = InputAssembler(module.signature(FEATURES.content_hash), catalogue)
    artifact = write_model(
        home / "deep/ranker", module, FEATURES.content_hash, assembler(make_batch([4, 9], [3, 0]))
    )
    config = make_pipeline(home)
    runtime = {"kind": "torch", "mode": "aot"}
    config.write_text(
        yaml.safe_dump(
            merged(
                pipeline_document(), {"models": {"ranker": {"artifact": "deep/ranker", "runtime": runtime}}}
            )
        )
    )
    before = hashes(home / "deep/ranker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKWAY_HOME", str(home))
        output = run_compile(config)
    eager, ahead = (
        load_runtime(home / "deep/ranker", artifact, runtime_config(kind="torch", mode=mode))
        for mode in ("eager", "aot")
    )
    return Compiled(home, config, artifact, output, before, eager, ahead)


def test_reports_the_package_and_leaves_the_artifact_unchanged(compiled: Compiled) -> None:
    assert compiled.output.startswith("ranker: compiled in ")
    assert hashes(compiled.home / "deep/ranker") == compiled.before
    assert {path.name for path in (compiled.home / "deep").iterdir()} <= {
        "ranker",
        "ranker.compiled",
    }
    (folder,) = (compiled.home / "deep/ranker.compiled").iterdir()
    assert {path.name for path in folder.iterdir()} == {packages.CODE, packages.CONSTANTS, packages.MANIFEST}


def test_does_not_compile_again(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKWAY_HOME", str(compiled.home))
    assert "is up to date" in run_compile(compiled.config)


def test_shows_the_package(compiled: Compiled) -> None:
    arguments = ["models", "show", str(compiled.home / "deep/ranker")]
    shown = yaml.safe_load(CliRunner().invoke(command(arguments), arguments).stdout)
    (row,) = shown["compiled"]
    assert row["runs_here"] is True
    assert row["compiler"]


@given(LENGTHS, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_scores_are_those_of_eager_pytorch(compiled: Compiled, lengths: dict[str, int], seed: int) -> None:
    inputs = random_inputs(compiled.artifact.signature, lengths, seed)
    scores, expected = (runtime.run(inputs)["score"] for runtime in (compiled.ahead, compiled.eager))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize(("candidates", "past"), ODD)
def test_scores_ragged_and_empty_lists(
    compiled: Compiled, catalogue: Catalogue, candidates: list[int], past: list[int]
) -> None:
    batch = make_batch(candidates, past)
    assembler = InputAssembler(compiled.artifact.signature, catalogue)
    scores, expected = (
        assembler.flatten(runtime.run(assembler(batch)), batch)["score"]
        for runtime in (compiled.ahead, compiled.eager)
    )
    assert scores.shape == (sum(candidates),)
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_passes_its_golden_requests(compiled: Compiled) -> None:
    assert check_golden(compiled.home / "deep/ranker", compiled.artifact, compiled.ahead)


def test_two_releases_run_at_once(compiled: Compiled) -> None:
    other = load_runtime(compiled.home / "deep/ranker", compiled.artifact, AOT)
    lengths = {"requests": 3, "extra_chunks": 2, "candidates": 50, "longest": 6, "tokens": 1}
    inputs = [random_inputs(compiled.artifact.signature, lengths, seed) for seed in range(20)]
    expected = [compiled.eager.run(each)["score"] for each in inputs]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(
            lambda runtime: [runtime.run(each)["score"] for each in inputs], (compiled.ahead, other)
        )
    for scores in answers:
        np.testing.assert_allclose(scores, expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_refuses_row_numbers_outside_the_batch(compiled: Compiled) -> None:
    lengths = {"requests": 2, "extra_chunks": 0, "candidates": 3, "longest": 2, "tokens": 1}
    inputs = random_inputs(compiled.artifact.signature, lengths, 0)
    with pytest.raises(RuntimeFailure, match="PyTorch failed on"):
        compiled.ahead.run(inputs | {"chunk_of": np.array([0, 7])})


def test_refuses_truncated_code_with_a_matching_hash(compiled: Compiled, tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "ranker", make_ranker(), FEATURES.content_hash)
    (folder,) = (compiled.home / "deep/ranker.compiled").iterdir()
    package = packages.packages_of(compiled.home / "deep/ranker")[folder]
    copy = packages.folder_of(tmp_path / "ranker", artifact, package.target)
    copy.mkdir(parents=True)
    code = (folder / packages.CODE).read_bytes()
    (copy / packages.CODE).write_bytes(code[: len(code) // 2])
    (copy / packages.CONSTANTS).write_bytes((folder / packages.CONSTANTS).read_bytes())
    files = {name: sha256_of(copy / name) for name in package.files}
    changed = package.model_copy(update={"files": files, "artifact": artifact.version})
    (copy / packages.MANIFEST).write_text(yaml.safe_dump(changed.model_dump(mode="json")))
    with pytest.raises(RuntimeFailure, match=r"cannot be loaded by PyTorch: .*; remove"):
        load_runtime(tmp_path / "ranker", artifact, AOT)


def test_replicas_that_start_together_compile_once(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "dlrm", make_dlrm(dense_per_request=True))
    config = runtime_config(kind="torch", mode="compile")
    with ThreadPoolExecutor(2) as pool:
        runtimes = [
            each.result()
            for each in [pool.submit(load_runtime, tmp_path / "dlrm", artifact, config) for _ in range(2)]
        ]
    (package,) = (tmp_path / "dlrm.compiled").iterdir()
    made_ns = package.stat().st_mtime_ns
    runtimes.append(load_runtime(tmp_path / "dlrm", artifact, config))
    assert package.stat().st_mtime_ns == made_ns
    inputs = random_inputs(artifact.signature, {"requests": 2, "extra_chunks": 0, "candidates": 9}, 0)
    expected = load_runtime(tmp_path / "dlrm", artifact, runtime_config(kind="torch")).run(inputs)["score"]
    for runtime in runtimes:
        np.testing.assert_allclose(runtime.run(inputs)["score"], expected, atol=TOLERANCE)


def test_a_read_only_folder_stops_the_compilation_of_a_starting_replica(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "dlrm", make_dlrm(dense_per_request=True))
    (tmp_path / "dlrm.compiled").write_text("a file, so that no package can be written")
    with pytest.raises(RuntimeFailure, match=r"cannot be compiled while the replica starts: .*mode: eager"):
        load_runtime(tmp_path / "dlrm", artifact, runtime_config(kind="torch", mode="compile"))
    assert [path.name for path in (tmp_path / "dlrm").parent.iterdir()] == ["dlrm", "dlrm.compiled"]


def test_a_missing_compiler_leaves_nothing_behind(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "ranker", make_ranker())
    # Not monkeypatch, which leaves PyTorch's settings so that it finds no compiler later either.
    without = inductor_config.patch({"cpp.cxx": ("no-such-compiler",)})
    with without, pytest.raises(RuntimeFailure, match=r"a C\+\+ compiler is needed .*; install g\+\+"):
        build_package(tmp_path / "ranker" / artifact.weights, artifact, threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["ranker"]
