"""The CPU's flags name the machine, and are the same at each call."""

import platform

from models.cpu_flags import cpu_flags


def test_flags_begin_with_the_architecture_and_are_sorted() -> None:
    machine, *flags = cpu_flags()
    assert machine == platform.machine()
    assert flags == sorted(set(flags))
    assert all(flag and " " not in flag for flag in flags)
