"""Graphs for one shape each, compiled in the background for the shapes that occur most.

A graph for one shape computes no shapes while it runs, but it takes some 100 ms to compile. Meanwhile the graph for all
shapes executes the calls.
"""

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from models.errors import RuntimeFailure
from models.runtimes.openvino.graph import Graph
from models.signature import Inputs

CALLS = 64
"""Number of calls after which a shape gets its own graph. Compiling it costs as much time as 300 calls save."""
_MOST_GRAPHS = 16
_MOST_BYTES = 1 << 26
"""The most bytes of all graphs' weights. Each graph has its own copy."""
_MOST_COUNTED = 4096
_log = logging.getLogger(__name__)

Shape = tuple[int, ...]
"""The lengths of all axes."""


class FrequentShapes:
    """The graphs for single shapes of one model."""

    def __init__(self, compile_for: Callable[[Inputs], Graph], weight_bytes: int, calls: int = CALLS) -> None:
        """Start without graphs.

        Args:
            compile_for: compiles a graph for inputs of the shape of these.
            weight_bytes: bytes of the model's weights.
            calls: number of calls after which a shape gets its own graph.
        """
        self._compile, self._calls = compile_for, calls
        self._room = min(_MOST_GRAPHS, _MOST_BYTES // max(1, weight_bytes))
        self._seen: Counter[Shape] = Counter()
        self._graphs: dict[Shape, Graph] = {}
        self._lock = Lock()
        self._compiling: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, "openvino-compile")

    def graph_for(self, shape: Shape, inputs: Inputs) -> Graph | None:
        """Return the graph for a shape, or None if there is none yet. Its compilation may begin."""
        graph = self._graphs.get(shape)
        if graph is None and self._room > 0:
            self._count(shape, inputs)
        return graph

    def wait(self) -> None:
        """Block until no graph is being compiled."""
        if self._compiling is not None:
            self._compiling.result()

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self._graphs)

    def _count(self, shape: Shape, inputs: Inputs) -> None:
        with self._lock:
            self._seen[shape] += 1
            is_busy = self._compiling is not None and not self._compiling.done()
            if self._seen[shape] >= self._calls and not is_busy and self._room > 0:
                self._room -= 1
                self._compiling = self._thread.submit(
                    self._add, shape, {name: values.copy() for name, values in inputs.items()}
                )
            elif len(self._seen) > _MOST_COUNTED:
                self._seen.clear()

    def _add(self, shape: Shape, inputs: Inputs) -> None:
        try:
            self._graphs[shape] = self._compile(inputs)
        except RuntimeFailure as error:
            _log.warning("the graph for all shapes stays in use: %s", error)
            self._seen[shape] = -(1 << 62)  # not again
