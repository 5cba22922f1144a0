"""The GPU benchmark on the CPU: every code path that needs no GPU, at a tiny size."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.on_gpu.options import Column, Distance, DlrmOptions, RankerOptions
from benchmarks.on_gpu.variants import NotHere, build, variants_of
from benchmarks.on_gpu.workloads import SMOKE, WALKS, WORKLOADS
from models.architectures import options as models_options

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
ONLY_PYTORCH = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

ALLOWED = {{"models", "benchmarks", "torch", "torchgen", "functorch", "numpy", "safetensors"}}
OF_PYTORCH = {{"filelock", "typing_extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec", "mpmath",
    "markupsafe", "_distutils_hack", "pkg_resources"}}


class OnlyPyTorch:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith("_sysconfigdata"):  # Python's own, named after the platform
            return PathFinder.find_spec(name, path, target)
        if top not in ALLOWED | OF_PYTORCH | set(sys.stdlib_module_names):
            return None  # as if the package were not installed
        return PathFinder.find_spec(name, path, target)


sys.meta_path[:] = [BuiltinImporter, FrozenImporter, OnlyPyTorch()]
sys.argv = {argv}
import runpy

try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    refused = ("pydantic", "ray", "yaml", "msgspec", "autoscale")
    print([name for name in refused if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.skipif("torch.cuda.is_available()")
def test_says_that_it_was_not_run_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 0
    assert capsys.readouterr().out.startswith("not run: this machine has no GPU")
    assert gpu.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ran"] is False


def test_runs_without_any_package_but_pytorch_and_numpy(tmp_path: Path) -> None:
    argv = [
        str(ROOT / "benchmarks" / "gpu.py"),
        "--smoke",
        "--json",
        "--workload",
        "dlrm",
        "--workload",
        "large",
    ]
    script = tmp_path / "alone.py"
    script.write_text(ONLY_PYTORCH.format(argv=argv))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", str(script)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().endswith("[]")  # none of the other packages was imported
    result = json.loads(done.stdout)
    assert result["failed"] == {}
    measured = {(row["workload"], row["variant"]) for row in result["rows"]}
    assert ("dlrm", "eager") in measured
    names = ("fused", "flex", "products", "encoded on the GPU", "encoded in pinned memory", "fused, padded")
    assert {("large", name) for name in names} <= measured
    for row in result["rows"]:
        assert row["candidates_per_s"] > 0
        assert row["operations_share"] > 0
        assert row["largest_difference"] <= 0.05
        assert row["under_load"]["p50_ms"] > 0
    if result["machine"].get("cuda") is None:
        assert result["not_run"]["large, 20 candidates, graphs"] == "needs a GPU"
        assert result["not_run"]["DeepSpeed kernel injection"] == "needs a GPU"


def test_float32_scores_agree_to_four_digits(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--smoke", "--float32", "--json", "--workload", "large"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["failed"] == {}
    assert max(row["largest_difference"] for row in result["rows"]) < 1e-4


def test_begins_no_cell_after_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--smoke", "--minutes", "0", "--workload", "dlrm"]) == 0
    text = capsys.readouterr().out
    assert "not run: dlrm, 30 candidates, eager: no time left; raise --minutes" in text


def test_a_variant_with_wrong_scores_fails_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from models.architectures.attention.fused import FusedKernels

    attend = FusedKernels._attend

    def spoilt(self: FusedKernels, *arguments: object) -> object:
        part = attend(self, *arguments)  # type: ignore[arg-type]
        return part._replace(log_sum=part.log_sum - 5.0)

    monkeypatch.setattr(FusedKernels, "_attend", spoilt)
    chosen = ["--variant", "fused", "--variant", "products"]
    assert gpu.main(["--smoke", "--json", "--workload", "large", *chosen]) == 1
    result = json.loads(capsys.readouterr().out)
    why = result["failed"]["large, 20 candidates, fused"]
    assert why.startswith("Disagreement: the scores differ from float32")
    assert [row["variant"] for row in result["rows"]] == ["products"]


def test_a_cell_without_enough_memory_runs_with_smaller_batches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.on_gpu import cells, plan

    measure, tried = cells.measure, list[int]()

    def short_of_memory(*arguments: object) -> object:
        requests = arguments[-1]
        assert isinstance(requests, int)
        tried.append(requests)
        if requests > 1 or "40 candidates" in str(arguments[2]):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(plan, "measure", short_of_memory)
    monkeypatch.setattr(plan, "best_batch", lambda *_: 4)
    assert gpu.main(["--smoke", "--json", "--workload", "dlrm", "--variant", "eager"]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert (tried, row["requests_per_batch"]) == ([4, 2, 1], 1)


def test_a_cell_that_does_not_fit_at_all_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.on_gpu import plan

    def never(*_: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(plan, "measure", never)
    assert gpu.main(["--smoke", "--workload", "dlrm", "--variant", "eager"]) == 0
    expected = "not run: dlrm, 30 candidates, eager: one request needs more memory than the device has"
    assert expected in capsys.readouterr().out


def test_options_have_the_fields_of_the_served_models() -> None:
    for own, served in (
        (RankerOptions, models_options.HistoryRankerOptions),
        (DlrmOptions, models_options.DlrmOptions),
        (Column, models_options.ScalarColumn),
        (Distance, models_options.Distance),
    ):
        assert {each.name for each in fields(own)} == set(served.model_fields)


@pytest.mark.parametrize("options", [WALKS, *(workload.options for workload in WORKLOADS.values())])
def test_options_are_valid_for_the_served_models(options: RankerOptions | DlrmOptions) -> None:
    kinds: dict[str, type[models_options.HistoryRankerOptions | models_options.DlrmOptions]] = {
        "history_ranker": models_options.HistoryRankerOptions,
        "dlrm": models_options.DlrmOptions,
    }
    parsed = kinds[options.name].model_validate(options, from_attributes=True)
    for each in fields(options):
        if each.name not in {"history_values", "context", "distances"}:
            assert getattr(parsed, each.name) == getattr(options, each.name)


def test_sizes_are_those_of_the_claims() -> None:
    hstu, large = WORKLOADS["hstu"], WORKLOADS["large"]
    assert isinstance(hstu.options, RankerOptions) and isinstance(large.options, RankerOptions)
    assert (hstu.options.layers, hstu.options.width, hstu.history) == (8, 1024, 2048)
    assert (min(hstu.buckets), max(hstu.buckets)) == (200, 4096)
    size = models_options.SIZES["large"]
    own = large.options
    assert (own.width, own.heads, own.layers, own.hidden) == (
        size.width,
        size.heads,
        size.layers,
        size.hidden,
    )


@pytest.mark.skipif("torch.cuda.is_available()")
def test_variants_for_gpus_are_refused_on_cpus() -> None:
    options = SMOKE["hstu"].options
    for variant in variants_of(options):
        if variant.graphed or variant.name == "cudnn":
            with pytest.raises(NotHere, match="needs a GPU"):
                build(variant, options, CPU, torch.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning"
)  # of the compiler, about itself
def test_compiled_models_agree_with_eager_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--smoke", "--json", "--workload", "large", "--variant", "compile"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["failed"] == {}
    assert [row["variant"] for row in result["rows"]] == ["compile"] or result["not_run"]
