import inspect
import json
import pickle

import pytest

from services import errors
from services.errors import ServiceError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ServiceError)]


@pytest.mark.parametrize("kind", KINDS)
def test_error_is_equal_after_pickling(kind: type[ServiceError]) -> None:
    error = kind("what was wrong", field="k", retry_after_s=2)
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is kind
    assert (twin.detail, twin.field, twin.retry_after_s, str(twin)) == (error.detail, "k", 2, str(error))


@pytest.mark.parametrize("kind", KINDS)
def test_error_becomes_a_problem_document(kind: type[ServiceError]) -> None:
    document = json.loads(kind("what was wrong", field="k").problem("id-1"))
    assert document == {
        "type": f"urn:rankway:problem:{kind.__name__}",
        "title": kind.title,
        "status": kind.status,
        "detail": "k: what was wrong",
        "instance": "id-1",
        "field": "k",
    }
    assert "field" not in json.loads(kind("x").problem("id-1"))


def test_docstring_shows_the_error_tree_of_the_code() -> None:
    assert errors.__doc__ is not None
    for kind in KINDS:
        assert kind.__name__ in errors.__doc__
    assert {kind.status for kind in KINDS} == {400, 404, 405, 408, 413, 422, 429, 500}
