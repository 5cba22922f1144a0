import os
import time
from collections import Counter

import pytest

from benchmarks.request_profile.samples import Sample, by_layer, has_perf, parse, recorded

# Printed by perf 6.1.
TEXT = """\
 8732/8855      7f3f4dabcac1 PyObject_GC_UnTrack (/root/lib/libpython3.11.so.1.0)
 8732/8856      7f3d2ac05bf7 [unknown] (/env/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.so)
 8732/8856      7f3f4d78bb75 __memmove_avx512_unaligned_erms (/usr/lib/x86_64-linux-gnu/libc.so.6)
 8732/8856  ffffffff8110 finish_task_switch.isra.0 ([kernel.kallsyms])
 8732/8856      7f3f4d78bb79 std::function<void (int)>::operator()(int) const (/usr/lib/libstdc++.so.6)
 8732/8856      7f3f4d78bb7a [unknown] (/env/site-packages/msgspec/_core.so (deleted))

Warning: some samples were lost
"""


def test_reads_the_thread_function_and_object_of_each_sample() -> None:
    assert list(parse(TEXT)) == [
        Sample(8855, "PyObject_GC_UnTrack", "/root/lib/libpython3.11.so.1.0"),
        Sample(8856, "[unknown]", "/env/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.so"),
        Sample(8856, "__memmove_avx512_unaligned_erms", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        Sample(8856, "finish_task_switch.isra.0", "[kernel.kallsyms]"),
        Sample(8856, "std::function<void (int)>::operator()(int) const", "/usr/lib/libstdc++.so.6"),
        Sample(8856, "[unknown]", "/env/site-packages/msgspec/_core.so"),
    ]


def test_counts_the_samples_of_each_thread_by_layer() -> None:
    assert by_layer(list(parse(TEXT))) == {
        8855: Counter({"Python": 1}),
        8856: Counter({"ONNX Runtime": 1, "memory copies": 1, "kernel": 1, "other": 1, "msgspec": 1}),
    }


@pytest.mark.skipif(not has_perf(), reason="perf is not installed")
def test_samples_a_busy_process() -> None:
    try:
        with recorded([os.getpid()], 0.4) as samples:
            end_s = time.perf_counter() + 0.5
            while time.perf_counter() < end_s:
                sum(range(1000))
    except RuntimeError as error:
        pytest.skip(f"perf may not sample here: {error}")
    assert by_layer(samples)[os.getpid()]["Python"] > 0
