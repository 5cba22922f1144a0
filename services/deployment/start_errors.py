"""Find the cause of a failed start in the messages of Ray Serve.

Serve reports a failed replica as text: the traceback in the replica, inside the traceback of Ray's task, with the
chains of both. The cause is the last error that one of our packages raised, or else the last error of all.
"""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from models.errors import BatchFailure, FolderBusy, ModelError, OutOfMemory
from services.errors import ConfigError, ReleaseError

_OURS = r"(?:autoscale|models|services|walks)(?:\.\w+)*"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# The last line of a traceback: the error's class, and its message, which may continue on further lines.
_ERROR = re.compile(r"^(?P<module>(?:\w+\.)*)(?P<name>[A-Z]\w*)(?:: (?P<text>.*))?$")
_END = re.compile(r"^(?:Traceback |During handling of|The above exception was|ray::|\x1b)|^\s+File \"")
_PASSING = (BatchFailure, FolderBusy, OutOfMemory)
_PERMANENT = (
    ModelError,
    ConfigError,
    ReleaseError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class StartError:
    """The cause of a failed start.

    Attributes:
        text: the message. If the error is not one of our packages', the name of its class comes first.
        is_permanent: whether another attempt would fail in the same way.
    """

    text: str
    is_permanent: bool


_DIED = StartError(
    "the process of a replica ended while it started, because its model crashed it or for lack of memory; "
    "`rankway check` opens each model in a process of its own and names the one that fails",
    is_permanent=False,
)


def start_error(message: str) -> StartError | None:
    """Return the cause that Serve's message contains, or None if it contains neither a traceback nor a dead process."""
    errors = list(_errors(_ANSI.sub("", message).splitlines()))
    if not errors:
        return _DIED if "ActorDiedError" in message else None
    ours = [error for error in errors if re.fullmatch(_OURS, error[0])]
    module, name, text = (ours or errors)[-1]
    kind = _class_of(module, name)
    is_permanent = kind is not None and issubclass(kind, _PERMANENT) and not issubclass(kind, _PASSING)
    return StartError(text if ours and text else f"{name}: {text}".removesuffix(": "), is_permanent)


def _errors(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the module, the class and the message of each error that ends a traceback."""
    in_traceback = False
    for index, line in enumerate(lines):
        found = _ERROR.match(line) if in_traceback else None
        if found is None:
            # A traceback's own lines are indented. Ray puts only the first line of each frame behind its own title.
            in_traceback = line.startswith((" ", "Traceback ", "ray::")) or (
                in_traceback and not line.strip()
            )
            continue
        in_traceback = False
        text = [found["text"] or ""]
        for more in lines[index + 1 :]:
            if _END.match(more) or not more.strip():
                break
            text.append(more)
        yield found["module"].rstrip("."), found["name"], "\n".join(text).strip()


def _class_of(module: str, name: str) -> type[BaseException] | None:
    if not module:
        found = getattr(builtins, name, None)
    elif re.fullmatch(_OURS, module):
        try:
            found = getattr(import_module(module), name, None)
        except ImportError:
            return None
    else:
        return None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
