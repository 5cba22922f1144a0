from pathlib import Path

from benchmarks.harness.meters.machine import machine


def test_machine_has_processor_name_and_relevant_instruction_sets(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    core = "processor\t: {}\nmodel name\t: A Processor @ 2.0GHz\nflags\t\t: fpu avx512f sse avx2\n\n"
    cpuinfo.write_text(core.format(0) + core.format(1))
    assert machine(cpuinfo) | {"cores": 0} == {
        "cpu": "A Processor @ 2.0GHz",
        "flags": ["avx2", "avx512f"],
        "cores": 0,
    }


def test_machine_without_cpuinfo_has_a_name(tmp_path: Path) -> None:
    assert machine(tmp_path / "none")["cpu"]
