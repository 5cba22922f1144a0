"""The rungs. Each changes one thing of the rung before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.bert.engines import EngineName
from benchmarks.bert.models import BASE, DYNAMIC, STATIC, STATIC_7_BITS, STUDENT

CACHE_ENTRIES = 1000
FIRST, WORKERS, CACHE = "BERT-base, padded", "workers", "cache"
NO_VNNI = "AVX512_CORE"
"""The value of ONEDNN_MAX_CPU_ISA that excludes VNNI, bfloat16 and AMX, and keeps AVX-512."""


@dataclass(frozen=True, slots=True)
class Rung:
    """How the requests are executed.

    Attributes:
        artifact: the model.
        threads: threads of a call. None: the framework's default, which is one per core.
        padded: whether texts are padded to 128 tokens.
        max_tokens: tokens in a call of several texts of similar length. None: one text in a call.
        workers: processes. None: one per core.
        cache: entries of the token-id cache in each worker. 0: no cache.
        max_isa: ``ONEDNN_MAX_CPU_ISA`` of the processes.
    """

    name: str
    engine: EngineName
    artifact: str
    threads: int | None = None
    padded: bool = False
    max_tokens: int | None = None
    workers: int | None = 1
    cache: int = 0
    max_isa: str | None = None


RUNTIMES: tuple[tuple[EngineName, str], ...] = (
    ("onnx", DYNAMIC),
    ("openvino", STATIC),
    ("openvino bf16", STUDENT),
)
"""The candidates for the best runtime. PyTorch's own int8 is a candidate too, as the rung before."""


def climb(max_tokens: int, best: tuple[EngineName, str]) -> list[Rung]:
    """Return the rungs from the first to the last.

    Args:
        max_tokens: tokens in a call, from the rung that groups texts by length.
        best: engine and artifact of the best runtime.
    """
    engine, artifact = best
    first = Rung(FIRST, "torch", BASE, padded=True)
    student = replace(first, name="6 layers", artifact=STUDENT)
    dynamic = replace(student, name="dynamic shapes", padded=False)
    grouped = replace(dynamic, name="grouped by length", max_tokens=max_tokens)
    int8 = replace(grouped, name="int8", engine="torch int8")
    runtime = replace(int8, name="best runtime", engine=engine, artifact=artifact)
    workers = replace(runtime, name=WORKERS, threads=1, workers=None)
    return [
        first,
        student,
        dynamic,
        grouped,
        int8,
        runtime,
        workers,
        replace(workers, name=CACHE, cache=CACHE_ENTRIES),
    ]


def without_vnni(rungs: Sequence[Rung]) -> list[Rung]:
    """Return the rungs without VNNI, bfloat16 and AMX.

    OpenVINO and PyTorch's fp32 obey ``ONEDNN_MAX_CPU_ISA``. ONNX Runtime and PyTorch's int8 have no such switch. So the
    rung of PyTorch's int8 is left out, and OpenVINO is the runtime. Its int8 weights have 7 bits, because sums of
    products of 8 bits overflow without VNNI.
    """
    limited = [replace(rung, max_isa=NO_VNNI) for rung in rungs if rung.engine != "torch int8"]
    on_openvino = {"engine": "openvino", "artifact": STATIC_7_BITS}
    return [r if r.engine == "torch" else replace(r, **on_openvino) for r in limited if not r.cache]  # type: ignore[arg-type]
