import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.request_profile.layers import NOT_SAMPLED, layer_of, ordered, split


@pytest.mark.parametrize(
    ("symbol", "path", "layer"),
    [
        ("finish_task_switch", "[kernel.kallsyms]", "kernel"),
        ("__vdso_clock_gettime", "[vdso]", "kernel"),
        ("[unknown]", "/env/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.so", "ONNX Runtime"),
        ("__memmove_avx512_unaligned_erms", "/usr/lib/x86_64-linux-gnu/libc.so.6", "memory copies"),
        ("__memcpy_generic", "/lib/aarch64-linux-gnu/libc-2.31.so", "memory copies"),
        ("malloc", "/usr/lib/x86_64-linux-gnu/libc.so.6", "other"),
        ("take", "/env/site-packages/numpy/_core/_multiarray_umath.so", "numpy"),
        ("gemm", "/env/site-packages/numpy.libs/libscipy_openblas64_.so", "numpy"),
        ("_PyEval_EvalFrameDefault", "/root/lib/libpython3.11.so.1.0", "Python"),
        ("_PyEval_EvalFrameDefault", "/usr/bin/python3.11", "Python"),
        ("task_step", "/usr/lib/python3.11/lib-dynload/_asyncio.so", "Python"),
        ("uv__io_poll", "/env/site-packages/uvloop/loop.so", "uvloop"),
        ("llhttp_execute", "/env/site-packages/httptools/parser/parser.so", "HTTP parser"),
        ("JSONDecoder_decode", "/env/site-packages/msgspec/_core.so", "msgspec"),
        ("[unknown]", "/env/site-packages/ray/_raylet.so", "Ray"),
        ("expf", "/usr/lib/x86_64-linux-gnu/libm.so.6", "other"),
    ],
)
def test_the_object_decides_the_layer(symbol: str, path: str, layer: str) -> None:
    assert layer_of(symbol, path) == layer


@given(
    st.floats(0, 1e6), st.dictionaries(st.sampled_from(["kernel", "Python", "other"]), st.integers(0, 10**6))
)
def test_the_layers_of_a_thread_add_up_to_its_cpu(total_us: float, samples: dict[str, int]) -> None:
    assert sum(split(total_us, samples).values()) == pytest.approx(total_us)


def test_a_thread_without_samples_keeps_its_cpu() -> None:
    assert split(3.5, {}) == {NOT_SAMPLED: 3.5}


def test_layers_are_ordered_by_their_sum_over_threads() -> None:
    assert ordered([{"a": 1.0, "b": 2.0}, {"a": 3.0, "c": 0.5}]) == ["a", "b", "c"]
