from pathlib import Path

import autoscale.simulator
from autoscale.simulator.jit import imported, sources

KERNEL = "autoscale.simulator.kernel"


def test_an_edit_of_whatever_is_compiled_counts() -> None:
    folder = Path(autoscale.simulator.__path__[0])
    compiled = {path for path in folder.glob("*.py") if "import compiled" in path.read_text("utf-8")}
    assert len(compiled) > 5
    assert {*compiled, folder / "world.py", folder / "jit.py"} <= set(imported(KERNEL))


def test_an_edit_of_what_is_not_compiled_does_not_count() -> None:
    assert not {"steps.py", "cluster.py", "simulate.py"} & {path.name for path in imported(KERNEL)}


def test_another_module_has_another_number() -> None:
    assert sources(KERNEL) == sources(KERNEL) != sources("autoscale.simulator.view")
