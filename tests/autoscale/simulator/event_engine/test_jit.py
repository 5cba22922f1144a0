from pathlib import Path

import autoscale.simulator.event_engine
from autoscale.simulator.event_engine.jit import imported, sources

KERNEL = "autoscale.simulator.event_engine.kernel"


def test_an_edit_of_whatever_is_compiled_counts() -> None:
    folder = Path(autoscale.simulator.event_engine.__path__[0])
    compiled = {path for path in folder.glob("*.py") if "import compiled" in path.read_text("utf-8")}
    assert len(compiled) > 5
    assert {*compiled, folder / "state.py", folder / "jit.py"} <= set(imported(KERNEL))


def test_an_edit_of_what_is_not_compiled_does_not_count() -> None:
    assert not {"step_engine", "cluster", "simulate"} & {
        part for path in imported(KERNEL) for part in (path.stem, path.parent.name)
    }


def test_another_module_has_another_number() -> None:
    assert sources(KERNEL) == sources(KERNEL) != sources("autoscale.simulator.event_engine.pointers")
