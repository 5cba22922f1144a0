"""A timer with finer resolution than an event loop's: Linux timerfd, for arrivals a fraction of a millisecond apart.

Event loops round their timers to whole milliseconds. An open loop would report the rounding as latency.
"""

import ctypes
import os


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_TIMER_ABSTIME = 1


class FineTimer:
    """A file descriptor that becomes readable at a given ``time.monotonic`` (and ``perf_counter``) time."""

    def __init__(self) -> None:
        """Create the descriptor.

        Raises:
            OSError: the kernel cannot create one.
        """
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed; open fewer files")

    def set(self, at_s: float) -> None:
        """Fire at ``at_s``, or at once if that time has passed."""
        whole = int(at_s)
        # Zero would disable the timer.
        value = _TimeSpec(whole, max(1, int((at_s - whole) * 1e9)))
        self._libc.timerfd_settime(
            self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(_TimerSpec(_TimeSpec(0, 0), value)), None
        )

    def clear(self) -> None:
        """Acknowledge that the timer fired, so that the descriptor is no longer readable."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
