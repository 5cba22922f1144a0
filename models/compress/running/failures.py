"""The errors of a step: those that end the run, and the reason of a failed step."""

import errno
import re
import traceback

from models.compress.running.places import StepFolder
from models.durable import write_file
from models.errors import ModelError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # in the messages of safetensors


def is_full_disk(error: BaseException) -> bool:
    """Return whether a file could not be written because the disk is full, read-only or broken.

    All later steps would fail too, so such an error ends the run. An OSError without a number is taken for a full disk:
    numpy raises one if it cannot write all of an array.
    """
    if isinstance(error, OSError):
        return error.errno is None or error.errno in _FULL
    found = None if isinstance(error, ModelError) else _OS_ERROR.search(str(error))
    return found is not None and int(found[1]) in _FULL


def failure_of(error: BaseException, kind: str, folder: StepFolder) -> str:
    """Return the reason of a failed step. Write the traceback of an unexpected error to a file.

    Raises:
        OSError: the file cannot be written.
    """
    folder.traceback.unlink(missing_ok=True)
    if isinstance(error, ModelError):
        return str(error)
    folder.branch.mkdir(parents=True, exist_ok=True)
    write_file(folder.traceback, "".join(traceback.format_exception(error)))
    problem = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{kind}: failed: {problem}; see the traceback in {folder.traceback}, or use other options"
