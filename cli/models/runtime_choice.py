"""The runtime that an import chose, as lines of text and as JSON."""

from typing import TYPE_CHECKING, Any

from cli.models.import_target import Place

if TYPE_CHECKING:
    from models.importing.target import Imported


def runtime_lines(imported: "Imported", place: Place) -> list[str]:
    """Return the measured times, the chosen runtime, and the change of the pipeline if it has another one."""
    assert place.pipeline is not None and place.model is not None
    chosen, lines = imported.artifact.runtime, list[str]()
    if imported.problem is not None:
        lines.append(f"no ONNX graph: {imported.problem}")
        lines.append(f"chosen: {chosen}, the only runtime that can execute this model")
    if imported.comparison is not None:
        lines += imported.comparison.lines()
    configured = place.pipeline.models[place.model].runtime.kind
    if chosen is not None and configured not in {chosen, "auto"}:
        lines.append(
            f"models.{place.model}.runtime: the pipeline has {{kind: {configured}}}; set {{kind: {chosen}}}, or "
            f"{{kind: auto}}, to use the chosen one"
        )
    return lines


def as_document(imported: "Imported") -> dict[str, Any]:
    """Return the result of an import for ``--json``."""
    artifact, comparison = imported.artifact, imported.comparison
    return {
        "artifact": {"name": artifact.name, "version": artifact.version},
        "inputs": list(imported.report),
        "largest_difference": imported.difference,
        "no_graph": imported.problem,
        "runtime": artifact.runtime,
        "candidates": None if comparison is None else comparison.rows,
        "timings": [
            {"runtime": timing.kind, "rows": timing.rows, "times_ms": list(timing.times_ms)}
            for timing in (() if comparison is None else comparison.timings)
        ],
    }
