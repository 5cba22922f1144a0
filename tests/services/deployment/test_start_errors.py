"""The cause of a failed start, in the reports that Serve makes."""

import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import FolderBusy, OutOfMemory, RuntimeFailure
from services.deployment.start_errors import StartError, start_error
from services.errors import ConfigError, StoreFailed

# As in Ray 2.60: the task's title in colour, its traceback, and below it the replica's traceback as text.
REPORT = """A replica failed to start with exception. Retrying 2 more time(s). Error:
\x1b[36mray::ServeReplica:small:main.initialize_and_get_metadata()\x1b[39m (pid=1, ip=127.0.0.1)
  File "/lib/concurrent/futures/_base.py", line 449, in result
    return self.__get_result()
           ^^^^^^^^^^^^^^^^^^^
  File "/ray/serve/_private/replica.py", line 3535, in initialize_and_get_metadata
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: {inner}
"""


def raised(error: Exception, cause: Exception | None = None) -> str:
    """Return the traceback of an error that was raised while another was handled."""

    def fail() -> None:
        if cause is None:
            raise error
        try:
            raise cause
        except Exception as first:
            raise error from first

    try:
        fail()
    except Exception:
        return traceback.format_exc()
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeFailure("m.onnx: no"), StartError("m.onnx: no", True)),
        (ConfigError("units: wrong\nhttp: wrong"), StartError("units: wrong\nhttp: wrong", True)),
        (OutOfMemory("no memory"), StartError("no memory", False)),
        (FolderBusy("another writes"), StartError("another writes", False)),
        (StoreFailed("no store"), StartError("no store", False)),
        (ValueError("3"), StartError("ValueError: 3", True)),
        (KeyError("nothing"), StartError("KeyError: 'nothing'", True)),
        (ConnectionError("refused"), StartError("ConnectionError: refused", False)),
        (NotImplementedError(), StartError("NotImplementedError", True)),
    ],
)
def test_cause_is_the_message_of_the_last_error(error: Exception, expected: StartError) -> None:
    assert start_error(REPORT.format(inner=raised(error))) == expected


def test_error_of_ours_goes_before_the_library_that_caused_it_or_wrapped_it() -> None:
    ours = RuntimeFailure("m.onnx: cannot be loaded")
    expected = StartError("m.onnx: cannot be loaded", True)
    assert start_error(REPORT.format(inner=raised(ours, ValueError("bad protobuf")))) == expected
    assert start_error(REPORT.format(inner=raised(RuntimeError("wrapped"), ours))) == expected


@pytest.mark.parametrize("message", ["", "Deploying", "A replica failed: no memory", "ValueError: 3"])
def test_report_without_traceback_has_no_cause(message: str) -> None:
    assert start_error(message) is None


def test_dead_process_is_named_as_the_cause() -> None:
    error = start_error("The deployment failed to start 3 times in a row. Error:\nActorDiedError()")
    assert error is not None
    assert error.text.startswith("the process of a replica ended while it started")
    assert not error.is_permanent


@pytest.mark.parametrize("wrap", [str, REPORT.replace("{inner}", "{0}").format])
@given(text=st.text())
def test_any_text_can_be_read(wrap: Callable[[str], str], text: str) -> None:
    error = start_error(wrap(text))
    assert error is None or error.text
