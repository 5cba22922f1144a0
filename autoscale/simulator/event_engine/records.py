"""Record layouts for the event engine."""

import numpy as np

CONNECTIONS = 4096
"""The search for the replica with the fewest connections treats higher numbers as equal."""
DRAWS = 4096
"""Number of batch time quantiles. Each batch draws one at random."""
SIZES = 24
"""Number of batch size buckets, by powers of two."""
UNIT = np.dtype(
    [
        ("max_candidates", "i8"),
        ("max_waiting", "i8"),
        ("max_in_flight", "i8"),
        ("first_key", "i4"),
        ("keys", "i4"),
    ],
    align=True,
)
KEY = np.dtype(
    [
        ("unit", "i4"),
        ("open", "i4"),
        ("running", "i4"),
        ("neighbours", "i4"),
        ("least", "i4"),
        ("overhead_s", "f8"),
        ("overhead_cpu_s", "f8"),
        ("relief", "f8"),
        ("weight", "f8"),
        ("credit", "f8"),
        ("arrived_requests", "i8"),
        ("arrived_candidates", "i8"),
        ("served_candidates", "i8"),
        ("shed_requests", "i8"),
        ("missed_requests", "i8"),
        ("waiting_candidates", "i8"),
        ("batches", "i8"),
        ("busy_s", "f8"),
        ("ongoing", "i8"),
        ("ongoing_s", "f8"),
        ("ongoing_at_s", "f8"),
    ],
    align=True,
)
REPLICA = np.dtype(
    [
        ("key", "i4"),
        ("state", "i4"),
        ("busy", "i4"),
        ("woken", "i4"),
        ("in_flight", "i4"),
        ("open_index", "i4"),
        ("connections", "i4"),
        ("before", "i4"),
        ("after", "i4"),
        ("head", "i4"),
        ("tail", "i4"),
        ("waiting_works", "i4"),
        ("waiting_candidates", "i8"),
        ("batch_s", "f8"),
        ("owed_s", "f8"),
        ("refused_s", "f8"),
        ("stamp", "i8"),
    ],
    align=True,
)
WORK = np.dtype(
    [
        ("arrived_s", "f8"),
        ("deadline_s", "f8"),
        ("dispatched_s", "f8"),
        ("stamp", "i8"),
        ("candidates", "i4"),
        ("requests", "i4"),
        ("level", "i4"),
        ("state", "i4"),
        ("orphan", "i4"),
        ("replica", "i4"),
        ("sender", "i4"),
        ("next", "i4"),
        ("prev", "i4"),
        ("first", "i4"),
        ("sibling", "i4"),
    ],
    align=True,
)
EVENT = np.dtype(
    [("at_s", "f8"), ("order", "i8"), ("stamp", "i8"), ("kind", "i4"), ("index", "i4")], align=True
)
CLOCK = np.dtype(
    [
        ("now_s", "f8"),
        ("stamp", "i8"),
        ("events", "i8"),
        ("heap", "i8"),
        ("free", "i4"),
        ("free_works", "i8"),
        ("woken", "i8"),
        ("random", "u8"),
        ("units", "i4"),
        ("promises", "i4"),
        ("deadline_s", "f8"),
        ("rescue_s", "f8"),
        ("objective_s", "f8"),
        ("fallback_s", "f8"),
    ],
    align=True,
)
TABLE = np.dtype(
    [(name, "i8") for name in ("unit_count", "key_count", "replica_count", "work_count", "knot_count")]
    + [
        (name, "i8")
        for name in (
            "clock",
            "units",
            "keys",
            "replicas",
            "works",
            "heap",
            "opened",
            "rings",
            "knots",
            "knot_s",
            "request_s",
            "draws",
            "expected_s",
            "expected_at_s",
            "stack",
            "wakes",
            "latencies",
            "totals",
        )
    ]
)
"""Lengths of the arrays in ``EngineState``, then their addresses."""
