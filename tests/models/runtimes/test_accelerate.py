"""A model laid over memory and disk gives what it gives in memory, and keeps within what it was given.

Where weights begin elsewhere beside a cache line the BLAS adds in another order: scores may differ in the last bit.
"""

import json
import subprocess
import sys
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
from models.runtimes.accelerate import AccelerateRuntime
from models.runtimes.golden import check_golden
from models.runtimes.kinds.accelerate import AccelerateConfig
from models.runtimes.kinds.torch import TorchConfig
from models.runtimes.one_device import OnOneDevice
from models.signature import Inputs
from models.training.export import SAFETENSORS, weight_writer
from tests.models.worlds import FEATURES, make_batch, make_pooled, make_ranker

MIB = 1 << 20
LAST_BIT = 1e-6
SHAPES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), min_size=1, max_size=4)


def written(root: Path, module: Architecture, golden: Inputs | None = None) -> Artifact:
    signature = module.signature(FEATURES.content_hash)
    return write_artifact(
        root,
        name="model",
        signature=signature,
        weights=SAFETENSORS,
        write_files=weight_writer(module, signature, golden),
        architecture=module.options.model_dump(mode="json"),
    )


def within(root: Path, mib: float, **options: str) -> AccelerateRuntime:
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
    written(root, module, assembler(make_batch([9, 5], [3, 0])))
    return root


@given(SHAPES, st.floats(0.004, 0.03), st.integers(0, 1000))
@settings(max_examples=20)
def test_whatever_stays_on_disk_the_scores_are_the_same(
    ranker: Path, catalogue: Catalogue, shapes: list[tuple[int, int]], mib: float, seed: int
) -> None:
    artifact = Artifact.read(ranker)
    batch = make_batch([n for n, _ in shapes], [past for _, past in shapes], seed)
    inputs = InputAssembler(artifact.signature, catalogue)(batch)
    whole = load_runtime(ranker, artifact, TorchConfig()).run(inputs)["score"]
    runtime = within(ranker, mib)
    for _ in range(2):
        np.testing.assert_allclose(runtime.run(inputs)["score"], whole, rtol=LAST_BIT, atol=LAST_BIT)


def test_less_memory_leaves_more_on_disk_and_enough_leaves_nothing(ranker: Path) -> None:
    def on_disk(mib: float) -> int:
        module = within(ranker, mib)._module
        return sum(p.numel() for p in module.parameters() if p.device.type == "meta")

    counts = [on_disk(mib) for mib in (0.004, 0.01, 0.015, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > 0
    assert counts[-1] == 0


def test_no_second_copy_is_written(ranker: Path) -> None:
    before = sorted(path.name for path in ranker.iterdir())
    within(ranker, 0.004)
    assert sorted(path.name for path in ranker.iterdir()) == before


def test_an_architecture_without_layers_is_dispatched_too(tmp_path: Path, catalogue: Catalogue) -> None:
    artifact = written(tmp_path / "pooled", make_pooled())
    inputs = InputAssembler(artifact.signature, catalogue)(make_batch([7, 3], [2, 0]))
    whole = load_runtime(tmp_path / "pooled", artifact, TorchConfig()).run(inputs)["score"]
    scores = within(tmp_path / "pooled", 0.003).run(inputs)["score"]
    np.testing.assert_allclose(scores, whole, rtol=LAST_BIT, atol=LAST_BIT)


def test_bfloat16_passes_the_golden_requests_of_32_bits(ranker: Path, catalogue: Catalogue) -> None:
    artifact = Artifact.read(ranker)
    inputs = InputAssembler(artifact.signature, catalogue)(make_batch([40, 9], [8, 2]))
    for mib in (0.005, 1.0):
        runtime = within(ranker, mib, dtype="bf16")
        assert check_golden(ranker, artifact, runtime, narrow=True)
        scores = runtime.run(inputs)["score"]
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()


def test_without_budgets_all_that_is_free_is_used(ranker: Path) -> None:
    runtime = load_runtime(ranker, Artifact.read(ranker), AccelerateConfig(kind="accelerate"))
    assert isinstance(runtime, AccelerateRuntime)
    assert set(runtime.device_map.values()) & {"disk"} == set()


def test_a_budget_in_which_no_layer_can_run_is_refused(ranker: Path) -> None:
    with pytest.raises(
        RuntimeFailure,
        match=r"runtime\.max_memory_mib: cpu needs .* MiB for the largest layer .*, got 0\.000999",
    ):
        within(ranker, 0.001)


def test_a_gpu_that_is_not_there_is_named(ranker: Path) -> None:
    config = AccelerateConfig(kind="accelerate", max_memory_mib={63: 1.0})
    with pytest.raises(RuntimeFailure, match=r"must name only devices of this process, .*, got GPU 63"):
        load_runtime(ranker, Artifact.read(ranker), config)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    artifact = written(tmp_path / "model", make_ranker())
    other = artifact.model_copy(update={"architecture": {**artifact.architecture, "hidden": 25}})
    with pytest.raises(RuntimeFailure, match=r"does not fit architecture.*up_proj"):
        load_runtime(tmp_path / "model", other, AccelerateConfig(kind="accelerate"))


def test_tensors_meet_on_the_last_ones_device() -> None:
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

run(sys.argv[1], kind="accelerate", max_memory_mib={"cpu": 0.005})  # what is imported at the first run is no weight
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
before = memory_of("VmRSS")
kept = run(sys.argv[2], **json.loads(sys.argv[4]))
print(json.dumps({"peak": memory_of("VmHWM") - before, "resident": memory_of("VmRSS") - before}))
"""


@pytest.mark.slow
def test_a_process_stays_within_the_limit_pages_of_the_file_included(ranker: Path, tmp_path: Path) -> None:
    from models.architectures.history_ranker import HistoryRanker
    from tests.models.worlds import RANKER, make_catalogue

    sizes = {"width": 512, "heads": 8, "layers": 8, "hidden": 2048}
    large = tmp_path / "large"
    written(large, HistoryRanker(RANKER.model_copy(update=sizes)))
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
    activations = measure(kind="accelerate")["resident"] - weights
    half = measure(kind="accelerate", max_memory_mib={"cpu": weights / 2 / MIB})
    slack = max(activations, 0) + 8 * MIB  # the allocator's
    assert half["resident"] < weights / 2 + slack
    assert half["peak"] < weights / 2 + slack
