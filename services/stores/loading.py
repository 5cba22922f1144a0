"""Loading a store in bulk; a load that was cut off goes on where it was."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.stores.base import StoreWriter
from services.stores.sources import Source

_SHOWN_FAULTS = 20


@dataclass(slots=True)
class Loaded:
    """What a load did. resumed: rows that an earlier one had dealt with. faults: the first rows refused."""

    written: int = 0
    resumed: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


class Checkpoint:
    """How far a load has come, in a file beside its source until it is through."""

    def __init__(self, source: Path, stamp: str) -> None:
        """stamp: of the source and the store; where it is another, the load begins anew."""
        self.path = source.with_name(f".{source.name}.loading")
        self._stamp = stamp

    def read(self) -> tuple[Any, int]:
        """Give where to go on and how many rows were dealt with; (None, 0) at the beginning."""
        try:
            kept = json.loads(self.path.read_text())
            return (kept["position"], int(kept["done"])) if kept["stamp"] == self._stamp else (None, 0)
        except (OSError, ValueError, KeyError, TypeError):
            return None, 0

    def write(self, position: Any, done: int) -> None:
        """Keep it, whole or not at all."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"stamp": self._stamp, "position": position, "done": done}))
        os.replace(fresh, self.path)

    def clear(self) -> None:
        """The load is through."""
        self.path.unlink(missing_ok=True)


def load(
    source: Source, writer: StoreWriter, checkpoint: Checkpoint, progress: Callable[[int, int], None]
) -> Loaded:
    """Write the source's rows; those that cannot be read are named and left out.

    progress: hears how many rows of how many were dealt with.

    Raises:
        StoreFailed: the store takes no more; the same call goes on from there.
    """
    position, done = checkpoint.read()
    loaded = Loaded(resumed=done)
    progress(done, source.total)
    for part in source.parts(position):
        loaded.written += writer.write_many(part.rows)
        loaded.refused += len(part.faults)
        loaded.faults += part.faults[: _SHOWN_FAULTS - len(loaded.faults)]
        checkpoint.write(part.position, part.done)
        progress(part.done, source.total)
    checkpoint.clear()
    return loaded
