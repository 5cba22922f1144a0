"""The CPU's flags name the machine, and are the same at each call."""

import platform

from models.cpu_flags import INSTRUCTION_SETS, cpu_flags, sums_int8_exactly


def test_flags_begin_with_the_architecture_and_are_sorted() -> None:
    machine, *flags = cpu_flags()
    assert machine == platform.machine()
    assert flags == sorted(set(flags))
    assert all(flag and " " not in flag for flag in flags)


def test_flags_of_exact_int8_name_the_machine() -> None:
    assert {"avx_vnni", "avx512_vnni", "amx_int8"} <= set(INSTRUCTION_SETS)


def test_only_x86_without_vnni_overflows_in_sums_of_int8() -> None:
    assert not sums_int8_exactly(("x86_64", "avx2", "avx512f"))
    assert sums_int8_exactly(("x86_64", "avx2", "avx_vnni"))
    assert sums_int8_exactly(("x86_64", "avx512_vnni"))
    assert sums_int8_exactly(("aarch64", "asimd"))
    assert isinstance(sums_int8_exactly(), bool)
