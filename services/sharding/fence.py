"""A full memory fence, and the order of memory that the shared-memory transport relies on.

x86-64 keeps the order of memory operations, with one exception (Intel SDM, volume 3A, section 8.2.2; Sewell et al.,
"x86-TSO", CACM 53(7), 2010):

- Stores of one core become visible to the others in program order. A rank that sees a counter also sees the data that
  was written before it.
- Loads of one core are done in program order. Data that is read after the counter is at least as new as the counter.
- An aligned word of 8 bytes is read and written as a whole.
- The exception: a load may be done before an earlier store to another address is visible, as stores wait in the core's
  store buffer. Only a locked instruction or MFENCE between the two prevents it.

Fast copies do not weaken this. The stores of one string instruction may become visible out of order among themselves,
but before any later store (8.2.4). A copy with streaming stores ends with SFENCE, as glibc's does; else the release
stores of C++ would not work either.

The exception matters where a rank writes one word and then reads another: see ``SharedMemory.publish`` and
``SharedMemory._sleep``. There is no other such place.
"""

import ctypes
from collections.abc import Callable
from functools import partial

LIBRARY = "libstdc++.so.6"
ATOMIC_ADD = "_ZN9__gnu_cxx18__exchange_and_addEPVii"
"""``int __gnu_cxx::__exchange_and_add(volatile int*, int)``: an atomic addition, in libstdc++'s ABI since GCC 3.4."""


def new_full_fence() -> Callable[[], object]:
    """Return a function that makes all earlier stores visible before any later load.

    It adds to a word of its own atomically. On x86-64 every atomic read-modify-write is a locked instruction (LOCK
    XADD), with which neither loads nor stores are reordered (SDM 3A, 8.2.3.9). Python's own locks happen to contain one
    too, but do not promise it. A call takes 0.1 us. The library is there wherever torch is: torch is linked against it.

    Raises:
        OSError: this process has no libstdc++.
    """
    library = ctypes.PyDLL(LIBRARY)  # does not release the GIL
    try:
        atomic_add = library[ATOMIC_ADD]
    except AttributeError as error:
        raise OSError(f"libstdc++ has no {ATOMIC_ADD}") from error
    atomic_add.argtypes = [ctypes.POINTER(ctypes.c_int), ctypes.c_int]
    atomic_add.restype = ctypes.c_int
    return partial(atomic_add, ctypes.pointer(ctypes.c_int(0)), 1)
