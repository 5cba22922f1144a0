"""Writes the report's files."""

from pathlib import Path

from models.compress.rows import Result
from models.durable import write_file

REPORT = "report.json"


def write_report(out: Path, result: Result) -> None:
    """Write the report's files into a recipe's folder. Each is written completely or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / REPORT, result.model_dump_json(indent=1) + "\n")
