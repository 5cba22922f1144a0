from pathlib import Path

import autoscale.simulator.event_engine
from autoscale.simulator.event_engine.jit import imported, sources

KERNEL = "autoscale.simulator.event_engine.kernel"


def test_editing_a_compiled_module_changes_the_hash() -> None:
    folder = Path(autoscale.simulator.event_engine.__path__[0])
    compiled = {path for path in folder.glob("*.py") if "import compiled" in path.read_text("utf-8")}
    assert len(compiled) > 5
    assert {*compiled, folder / "state.py", folder / "jit.py"} <= set(imported(KERNEL))


def test_editing_a_module_that_is_not_compiled_keeps_the_hash() -> None:
    assert not {"step_engine", "cluster", "simulate"} & {
        part for path in imported(KERNEL) for part in (path.stem, path.parent.name)
    }


def test_hash_depends_on_the_module() -> None:
    assert sources(KERNEL) == sources(KERNEL) != sources("autoscale.simulator.event_engine.pointers")
