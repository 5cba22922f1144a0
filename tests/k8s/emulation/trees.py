"""Process trees of pods: found by a mark in their environment, as a container's are by its cgroup, and ended whole."""

import os

import psutil

_END_LIMIT_S = 15.0


def marked(mark: str) -> list[psutil.Process]:
    """Give the processes that carry ``mark``, NAME=value, and their descendants.

    The mark is inherited, so that daemons which left the tree are found too; descendants are those that wrote their
    title over their environment.
    """
    name, _, value = mark.partition("=")
    processes: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.pid not in processes and process.environ().get(name) == value:
                processes |= {each.pid: each for each in [process, *process.children(recursive=True)]}
        except psutil.Error:  # it ended, or is another user's
            continue
    processes.pop(os.getpid(), None)
    return list(processes.values())


def kill(processes: list[psutil.Process]) -> None:
    """End them as the kernel ends a container: all at once, asking none; wait until they have gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, _END_LIMIT_S)
    left = [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not left, f"these outlived SIGKILL: {left}"
