"""The table of a request's CPU."""

from collections.abc import Callable, Sequence

from benchmarks.request_profile.cells import REPLICAS, Cell
from benchmarks.request_profile.layers import NOT_SAMPLED, ordered

_WIDTH = 28


def as_text(cells: Sequence[Cell]) -> str:
    """Return the table: a column for each number of clients, and rows of processes, threads and layers."""

    def row(label: str, value_of: Callable[[Cell], float], digits: int = 1) -> str:
        return f"{label:{_WIDTH}}" + "".join(f"{value_of(cell):10,.{digits}f}" for cell in cells)

    lines = [
        row("clients", lambda cell: cell.clients, 0),
        row("requests per second", lambda cell: cell.rps, 0),
        row("p50 in ms", lambda cell: cell.p50_ms, 2),
        row("cores busy elsewhere", lambda cell: cell.foreign_cores, 2),
        "",
        "microseconds of CPU per request",
        row("all processes", lambda cell: cell.total_us),
    ]
    for process in ordered(cell.processes for cell in cells):
        lines.append(row(f"  {process}", lambda cell, name=process: cell.processes.get(name, 0.0)))  # type: ignore[misc]
        if process == REPLICAS:
            lines += _threads(cells, row)
    return "\n".join(lines)


def _threads(cells: Sequence[Cell], row: Callable[[str, Callable[[Cell], float]], str]) -> list[str]:
    lines = []
    for thread in cells[0].threads:
        lines.append(row(f"    {thread}", lambda cell, name=thread: cell.threads[name]))  # type: ignore[misc]
        layers = ordered(cell.layers[thread] for cell in cells)
        if layers == [NOT_SAMPLED]:
            continue
        for layer in layers:
            lines.append(
                row(
                    f"      {layer}",
                    lambda cell, name=thread, part=layer: cell.layers[name].get(part, 0.0),  # type: ignore[misc]
                )
            )
    return lines
