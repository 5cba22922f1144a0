"""UBJSON is read as XGBoost writes it, and damage is an error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.runtimes.trees.ubjson import parse
from tests.models.runtimes.trees.models import xgboost_json


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | list):
        return [as_json(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def test_a_model_has_the_same_content_in_both_forms(tmp_path: Path) -> None:
    ubjson, text = (xgboost_json(tmp_path / name, categorical=True) for name in ("m.ubj", "m.json"))
    read, expected = as_json(parse(ubjson.read_bytes())), json.loads(text.read_text())
    flat_read, flat_expected = (
        np.array(
            model["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"], dtype=np.float32
        )
        for model in (read, expected)
    )
    np.testing.assert_array_equal(flat_read, flat_expected)
    assert read["learner"]["learner_model_param"] == expected["learner"]["learner_model_param"]
    assert read["version"] == expected["version"]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{i\x01aT}", {"a": True}),
        (b"[ZFi\xff]", [None, False, -1]),
        (b"[#i\x02U\x05SU\x02hi", [5, "hi"]),
        (b"D\x3f\xf0\x00\x00\x00\x00\x00\x00", 1.0),
        (b"[$l#i\x01\x00\x00\x01\x00", [256]),
        (b"{}", {}),
    ],
)
def test_every_type_is_read(data: bytes, value: object) -> None:
    assert as_json(parse(data)) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "end within a value"),
        (b"{i\x01a", "end within a value"),
        (b"[T", "end within a value"),
        (b"SL\xff\xff\xff\xff\xff\xff\xff\xff", "end within a value"),
        (b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff", "end within a value"),
        (b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff", "a list of"),
        (b"[$S#i\x01", "unknown list"),
        (b"Q", "unknown type 'Q'"),
        (b"{S", "expected a length"),
        (b"TT", "1 bytes follow the end"),
        (b"[" * 1000, "at most 32 levels"),
    ],
)
def test_damaged_data_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(data)
