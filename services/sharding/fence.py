"""A full memory fence, and the memory order that the shared-memory transport relies on.

x86-64 keeps the order of memory operations, with one exception (Intel SDM, volume 3A, section 8.2.2; Sewell et al.,
"x86-TSO", CACM 53(7), 2010):

- A core's stores become visible to other cores in program order. A rank that sees a counter also sees the data that
  was written before it.
- Each core does its loads in program order. Data that is read after the counter is at least as new as the counter.
- An aligned word of 8 bytes is read and written as a whole.
- The exception: a load may be done before an earlier store to another address is visible, because stores wait in the
  core's store buffer. Only a locked instruction or MFENCE between the two prevents this.

Fast copies keep this order too. The stores of one string instruction may become visible out of order among themselves,
but they become visible before any later store (8.2.4). A copy with streaming stores ends with SFENCE, as in glibc.
Otherwise the release stores of C++ would not work either.

The exception matters if a rank writes one word and then reads another word. This happens only in
``SharedMemory.publish`` and ``SharedMemory._sleep``.
"""

import ctypes
from collections.abc import Callable
from functools import partial

LIBRARY = "libstdc++.so.6"
ATOMIC_ADD = "_ZN9__gnu_cxx18__exchange_and_addEPVii"
"""``int __gnu_cxx::__exchange_and_add(volatile int*, int)``: an atomic addition, in libstdc++'s ABI since GCC 3.4."""


def new_full_fence() -> Callable[[], object]:
    """Return a function that makes all earlier stores visible before any later load.

    The function adds atomically to a word that nobody else uses. On x86-64 every atomic read-modify-write is a locked
    instruction (LOCK XADD). The processor does not move loads or stores across it (SDM 3A, 8.2.3.9). Python's own locks
    contain such an instruction too, but Python does not guarantee it. A call takes 0.1 us. The library is present if
    torch is, because torch is linked against it.

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
