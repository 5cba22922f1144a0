"""The layers of a thread's CPU. A sample's layer is found from the shared object that it was taken in."""

import re
from collections.abc import Iterable, Mapping

NOT_SAMPLED = "not sampled"
_OTHER = "other"
# The first pattern that the object's path matches decides.
_LAYERS = (
    ("kernel", re.compile(r"^\[")),  # sockets, wake-ups and scheduling: [kernel.kallsyms], [vdso] and modules
    ("ONNX Runtime", re.compile(r"onnxruntime")),
    ("numpy", re.compile(r"/numpy/|/numpy\.libs/")),
    ("uvloop", re.compile(r"/uvloop/")),
    ("HTTP parser", re.compile(r"/httptools/")),
    ("msgspec", re.compile(r"/msgspec/")),
    ("Ray", re.compile(r"/ray/")),
    ("Python", re.compile(r"/libpython|/lib-dynload/|/bin/python")),
)
_COPIES = "memory copies"
_COPY = re.compile(r"^_*mem(?!chr|cmp)")  # libc's functions, one for each instruction set
_LIBC = re.compile(r"/libc(\.so|-\d)")


def layer_of(symbol: str, path: str) -> str:
    """Return the layer of a sample.

    Args:
        symbol: the sampled function.
        path: the shared object, as perf prints it.
    """
    if _LIBC.search(path):
        return _COPIES if _COPY.match(symbol) else _OTHER
    return next((layer for layer, pattern in _LAYERS if pattern.search(path)), _OTHER)


def split(total_us: float, samples: Mapping[str, int]) -> dict[str, float]:
    """Return a thread's CPU by layer, the largest first. The sum is the thread's measured CPU.

    Samples show only shares: perf costs CPU itself. Without samples, all CPU is in the layer ``not sampled``.

    Args:
        total_us: the thread's measured CPU.
        samples: the number of samples by layer.
    """
    count = sum(samples.values())
    if not count:
        return {NOT_SAMPLED: total_us}
    ranked = sorted(samples.items(), key=lambda item: -item[1])
    return {layer: total_us * number / count for layer, number in ranked}


def ordered(tables: Iterable[Mapping[str, float]]) -> list[str]:
    """Return the layers of some threads, ordered by their CPU in all of them together."""
    sums: dict[str, float] = {}
    for table in tables:
        for layer, spent_us in table.items():
            sums[layer] = sums.get(layer, 0.0) + spent_us
    return sorted(sums, key=lambda layer: -sums[layer])
