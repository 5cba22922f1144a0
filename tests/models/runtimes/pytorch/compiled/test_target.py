"""The machine for which a package is compiled."""

import platform
from importlib.metadata import version

from models.runtimes.pytorch.compiled.target import Target, instruction_sets

HERE = Target.here(threads=1)


def test_describes_this_process() -> None:
    assert HERE.torch == version("torch")
    assert HERE.machine == platform.machine()
    assert HERE.cpu == instruction_sets()
    assert list(HERE.cpu) == sorted(HERE.cpu)


def test_leaves_out_flags_that_no_compiler_uses() -> None:
    assert {"hypervisor", "lm", "nx", "syscall"}.isdisjoint(HERE.cpu)


def test_equal_targets_have_no_differences() -> None:
    assert Target.here(threads=1) == HERE
    assert HERE.differences(HERE) == []


def test_names_every_difference() -> None:
    here = HERE.model_copy(update={"cpu": ("avx2", "fma")})
    other = here.model_copy(
        update={"torch": "2.12.0", "cpu": ("avx2", "avx512f"), "threads": 4, "code": "0" * 16}
    )
    assert here.differences(other) == [
        f"torch 2.12.0, here {here.torch}",
        "threads 4, here 1",
        "a CPU with avx512f, which this CPU lacks",
        "a CPU without fma, which this CPU has",
        "the architectures of another version of Rankway",
    ]
