"""Pods' process trees. A mark in the environment shows a process's pod, as a cgroup shows a process's container."""

import os

import psutil

_END_LIMIT_S = 15.0


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes with ``mark``, NAME=value, in their environment, and their descendants.

    Processes inherit the mark, so that daemons outside the tree are found too. The descendants are included because
    some of them overwrite their environment with their title.
    """
    name, _, value = mark.partition("=")
    processes: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.pid not in processes and process.environ().get(name) == value:
                processes |= {each.pid: each for each in [process, *process.children(recursive=True)]}
        except psutil.Error:  # it ended, or belongs to another user
            continue
    processes.pop(os.getpid(), None)
    return list(processes.values())


def kill(processes: list[psutil.Process]) -> None:
    """Kill the processes at once, as the kernel ends a container, and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, _END_LIMIT_S)
    remaining = [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not remaining, f"these outlived SIGKILL: {remaining}"
