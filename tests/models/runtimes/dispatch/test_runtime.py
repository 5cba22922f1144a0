"""A model distributed over memory and disk scores like a model in memory, and stays within its budget.

The budget does not change scores. Scores differ from those of ``kind: torch`` in the last bit: the BLAS adds in another
order if weights are aligned differently to cache lines.
"""

import gc
import json
import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import Architecture
from models.artifact import Artifact, write_artifact
from models.assembly import InputAssembler
from models.errors import RuntimeFailure
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.dispatch.one_device import OnOneDevice
from models.runtimes.dispatch.runtime import AccelerateRuntime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.torch import TorchConfig
from models.signature import Inputs
from models.training.export import SAFETENSORS, weight_writer
from tests.models.worlds import FEATURES, make_batch, make_pooled, make_ranker

MIB = 1 << 20
LAST_BIT = 1e-6
SHAPES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), min_size=1, max_size=4).filter(
    lambda shapes: any(count for count, _ in shapes)
)
"""Each request's numbers of candidates and of past items. A batch has at least one candidate."""


def write_model(root: Path, module: Architecture, golden: Inputs | None = None) -> Artifact:
    signature = module.signature(FEATURES.content_hash)
    return write_artifact(
        root,
        name="model",
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, golden),
        architecture=module.options.model_dump(mode="json"),
    )


def load_with_budget(root: Path, mib: float, **options: str) -> AccelerateRuntime:
    config = AccelerateConfig.model_validate(
        {"kind": "accelerate", "max_memory_mib": {"cpu": mib}, **options}
    )
    runtime = load_runtime(root, Artifact.read(root), config)
    assert isinstance(runtime, AccelerateRuntime)
    return runtime


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Path:
    root = tmp_path_factory.mktemp("dispatch") / "ranker"
    module = make_ranker()
    assembler = InputAssembler(module.signature(FEATURES.content_hash), catalogue)
    write_model(root, module, assembler(make_batch([9, 5], [3, 0])))
    return root


@given(SHAPES, st.floats(0.004, 0.03), st.integers(0, 1000), st.sampled_from(["fp32", "bf16"]))
@settings(max_examples=20)
def test_scores_do_not_depend_on_the_memory_budget(
    ranker: Path, catalogue: Catalogue, shapes: list[tuple[int, int]], mib: float, seed: int, dtype: str
) -> None:
    artifact = Artifact.read(ranker)
    batch = make_batch([n for n, _ in shapes], [past for _, past in shapes], seed)
    inputs = InputAssembler(artifact.signature, catalogue)(batch)
    in_memory = load_with_budget(ranker, 1.0, dtype=dtype).run(inputs)["score"]
    if dtype == "fp32":
        whole = load_runtime(ranker, artifact, TorchConfig()).run(inputs)["score"]
        np.testing.assert_allclose(in_memory, whole, rtol=LAST_BIT, atol=LAST_BIT)
    runtime = load_with_budget(ranker, mib, dtype=dtype)
    for _ in range(2):
        np.testing.assert_array_equal(runtime.run(inputs)["score"], in_memory)


def test_scores_of_concurrent_calls_and_of_two_releases_do_not_mix(
    tmp_path: Path, ranker: Path, catalogue: Catalogue
) -> None:
    write_model(tmp_path / "next", make_ranker(seed=1))
    inputs = InputAssembler(Artifact.read(ranker).signature, catalogue)(make_batch([40, 9], [8, 2]))
    runtimes = [load_with_budget(root, 0.005) for root in (ranker, tmp_path / "next")]
    expected = [runtime.run(inputs)["score"] for runtime in runtimes]
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: runtimes[number % 2].run(inputs)["score"], range(40)))
    for number, scores in enumerate(results):
        np.testing.assert_array_equal(scores, expected[number % 2])


def test_the_memory_of_a_dropped_release_is_freed_at_once(ranker: Path, catalogue: Catalogue) -> None:
    inputs = InputAssembler(Artifact.read(ranker).signature, catalogue)(make_batch([5], [2]))
    runtime = load_with_budget(ranker, 0.004)
    runtime.run(inputs)
    layers = [weakref.ref(layer) for layer in runtime._module.modules()]
    gc.disable()
    try:
        del runtime
        assert [layer() for layer in layers if layer() is not None] == []
    finally:
        gc.enable()


def test_a_replaced_file_does_not_change_the_scores(
    tmp_path: Path, ranker: Path, catalogue: Catalogue
) -> None:
    inputs = InputAssembler(Artifact.read(ranker).signature, catalogue)(make_batch([5], [2]))
    write_model(tmp_path / "model", make_ranker())
    write_model(tmp_path / "next", make_ranker(seed=1))
    runtime = load_with_budget(tmp_path / "model", 0.004)
    expected = runtime.run(inputs)["score"]
    (tmp_path / "next" / SAFETENSORS).rename(tmp_path / "model" / SAFETENSORS)
    np.testing.assert_array_equal(runtime.run(inputs)["score"], expected)


def test_a_file_that_is_cut_fails_batches_with_the_remedy(tmp_path: Path, catalogue: Catalogue) -> None:
    artifact = write_model(tmp_path / "model", make_ranker())
    inputs = InputAssembler(artifact.signature, catalogue)(make_batch([5], [2]))
    path = tmp_path / "model" / SAFETENSORS
    runtime, content = load_with_budget(tmp_path / "model", 0.004), path.read_bytes()
    expected = runtime.run(inputs)["score"]
    os.truncate(path, 4000)
    for _ in range(2):
        with pytest.raises(RuntimeFailure, match="was cut while it was in use; copy the artifact again"):
            runtime.run(inputs)
    path.write_bytes(content)
    np.testing.assert_array_equal(runtime.run(inputs)["score"], expected)


def test_a_batch_that_fails_does_not_change_later_scores(ranker: Path, catalogue: Catalogue) -> None:
    inputs = InputAssembler(Artifact.read(ranker).signature, catalogue)(make_batch([5], [2]))
    runtime = load_with_budget(ranker, 0.004)
    expected = runtime.run(inputs)["score"]
    with pytest.raises(RuntimeFailure):
        runtime.run({name: values for name, values in inputs.items() if name != "item_attributes"})
    np.testing.assert_array_equal(runtime.run(inputs)["score"], expected)
    assert any(p.device.type == "meta" for p in runtime._module.parameters())


def test_smaller_budgets_leave_more_weights_on_disk(ranker: Path) -> None:
    def on_disk(mib: float) -> int:
        module = load_with_budget(ranker, mib)._module
        return sum(p.numel() for p in module.parameters() if p.device.type == "meta")

    counts = [on_disk(mib) for mib in (0.004, 0.01, 0.015, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > 0
    assert counts[-1] == 0


def test_loading_writes_no_second_copy_of_the_weights(ranker: Path) -> None:
    before = sorted(path.name for path in ranker.iterdir())
    load_with_budget(ranker, 0.004)
    assert sorted(path.name for path in ranker.iterdir()) == before


def test_dispatches_an_architecture_without_layers(tmp_path: Path, catalogue: Catalogue) -> None:
    artifact = write_model(tmp_path / "pooled", make_pooled())
    inputs = InputAssembler(artifact.signature, catalogue)(make_batch([7, 3], [2, 0]))
    whole = load_runtime(tmp_path / "pooled", artifact, TorchConfig()).run(inputs)["score"]
    scores = load_with_budget(tmp_path / "pooled", 0.003).run(inputs)["score"]
    np.testing.assert_allclose(scores, whole, rtol=LAST_BIT, atol=LAST_BIT)


def test_bfloat16_passes_golden_requests_exported_in_32_bits(ranker: Path, catalogue: Catalogue) -> None:
    artifact = Artifact.read(ranker)
    inputs = InputAssembler(artifact.signature, catalogue)(make_batch([40, 9], [8, 2]))
    for mib in (0.005, 1.0):
        runtime = load_with_budget(ranker, mib, dtype="bf16")
        assert check_golden(ranker, artifact, runtime, narrow=True)
        scores = runtime.run(inputs)["score"]
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


def test_without_budgets_nothing_stays_on_disk(ranker: Path) -> None:
    runtime = load_runtime(ranker, Artifact.read(ranker), AccelerateConfig(kind="accelerate"))
    assert isinstance(runtime, AccelerateRuntime)
    assert set(runtime.device_map.values()) & {"disk"} == set()


def test_rejects_budget_smaller_than_the_largest_layer(ranker: Path) -> None:
    with pytest.raises(
        RuntimeFailure,
        match=r"runtime\.max_memory_mib: cpu needs .* MiB for the largest layer .*, got 0\.000999 MiB; raise",
    ):
        load_with_budget(ranker, 0.001)


def test_rejects_budget_for_a_missing_gpu(ranker: Path) -> None:
    config = AccelerateConfig(kind="accelerate", max_memory_mib={63: 1.0})
    with pytest.raises(RuntimeFailure, match=r"must name only devices of this process, .*, got GPU 63"):
        load_runtime(ranker, Artifact.read(ranker), config)


def test_rejects_weights_of_another_architecture(tmp_path: Path) -> None:
    artifact = write_model(tmp_path / "model", make_ranker())
    other = artifact.model_copy(update={"architecture": {**artifact.architecture, "hidden": 25}})
    with pytest.raises(RuntimeFailure, match=r"does not fit architecture.*up_proj"):
        load_runtime(tmp_path / "model", other, AccelerateConfig(kind="accelerate"))


@pytest.mark.parametrize("keep", [0, 100, 4000])
def test_rejects_a_truncated_file(tmp_path: Path, keep: int) -> None:
    artifact = write_model(tmp_path / "model", make_ranker())
    os.truncate(tmp_path / "model" / SAFETENSORS, keep)
    with pytest.raises(RuntimeFailure, match=r"model\.safetensors"):
        load_runtime(tmp_path / "model", artifact, AccelerateConfig(kind="accelerate"))


def test_operations_run_on_the_device_of_the_last_tensor() -> None:
    here, there = torch.ones(2), torch.ones(2, device="meta")
    with OnOneDevice():
        assert (here + there).device.type == "meta"
        assert torch.cat([here, there]).device.type == "meta"
        assert (there * torch.tensor(2.0)).device.type == "meta"


RESIDENT = """
import gc, json, sys
from pathlib import Path
from models.artifact import Artifact
from models.assembly import InputAssembler
from models.features.catalogue import Catalogue
from models.runtimes import load_runtime
from models.runtimes.kinds.registry import runtime_config
from tests.models.worlds import make_batch

def memory_of(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def run(root, **options):
    artifact = Artifact.read(Path(root))
    runtime = load_runtime(Path(root), artifact, runtime_config(**options))
    inputs = InputAssembler(artifact.signature, Catalogue.open(Path(sys.argv[3])))(make_batch([9, 5], [8, 3]))
    for _ in range(3):
        runtime.run(inputs)
    return runtime

run(sys.argv[1], kind="accelerate", max_memory_mib={"cpu": 0.005})  # the first run imports modules, which count apart
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # resets the peak
before = memory_of("VmRSS")
kept = run(sys.argv[2], **json.loads(sys.argv[4]))
print(json.dumps({"peak": memory_of("VmHWM") - before, "resident": memory_of("VmRSS") - before}))
"""


@pytest.mark.slow
def test_process_memory_stays_within_the_budget_including_mapped_pages(ranker: Path, tmp_path: Path) -> None:
    from models.architectures.history_ranker import HistoryRanker
    from tests.models.worlds import RANKER, make_catalogue

    sizes = {"width": 512, "heads": 8, "layers": 8, "hidden": 2048}
    large = tmp_path / "large"
    write_model(large, HistoryRanker(RANKER.model_copy(update=sizes)))
    make_catalogue(tmp_path / "catalogue")

    def measure(**options: object) -> dict[str, int]:
        arguments = [str(ranker), str(large), str(tmp_path / "catalogue"), json.dumps(options)]
        done = subprocess.run(
            [sys.executable, "-c", RESIDENT, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        memory: dict[str, int] = json.loads(done.stdout)
        return memory

    weights = (large / SAFETENSORS).stat().st_size
    activations = measure(kind="accelerate")["peak"] - weights
    half = measure(kind="accelerate", max_memory_mib={"cpu": weights / 2 / MIB})
    slack = max(activations, 0) + 2 * MIB  # for the allocator
    assert half["resident"] < weights / 2 + slack
    assert half["peak"] < weights / 2 + slack
