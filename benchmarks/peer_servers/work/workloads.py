"""The work by name."""

import sys
from pathlib import Path

from benchmarks.peer_servers.options import PeerOptions
from benchmarks.peer_servers.work.answers import RankRequest, Work

LOADED = "peer: the model is loaded"
"""Each process prints this line once. The benchmark counts them, because load may not begin with one process of two."""


def open_work(options: PeerOptions) -> Work:
    """Load the workload that the options name, and run it once."""
    threads = options.settings.threads
    work: Work
    if options.workload == "dlrm":
        from benchmarks.peer_servers.work.dlrm import Dlrm

        work = Dlrm(Path(options.data), options.candidates, threads)
    else:
        from benchmarks.peer_servers.work.walks import Walks

        work = Walks(Path(options.data), Path(options.users), options.candidates, threads)
    work.rank([RankRequest("u-000000", 1)])
    sys.stdout.write(LOADED + "\n")
    sys.stdout.flush()
    return work
