"""Work beside requests: releases are loaded on a thread of low priority, in steps with pauses."""

import os
import sys
import threading

from services.releases.steps import Result, Steps, complete
from services.releases.throttle import Throttle

_SWITCH_S, _NICENESS = 0.0003, 10
_SHARE = 0.25
"""The share of a core that the work may use while requests are answered."""


def complete_in_background(steps: Steps[Result]) -> Result:
    """Do all steps with pauses between them. Requests wait for the GIL only for a short time."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)  # the longest time that requests wait for the GIL
    try:
        return complete(steps, Throttle(_SHARE))
    finally:
        sys.setswitchinterval(usual_s)


def lower_priority() -> None:
    """Lower the priority of this thread, so that requests go first. On Linux each thread has its own niceness."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
