"""The format of a model is found from its content, whatever its name."""

import os
import pickle
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.errors import ArtifactError
from models.importing.formats import format_of
from tests.models.importing.originals import lightgbm_text, skops_file, sum_graph, xgboost_json


def test_a_pipe_is_refused_instead_of_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="expected a file, got a device, pipe or socket"):
        format_of(tmp_path / "pipe")


def test_every_format_is_found_under_a_wrong_name(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    assert format_of(lightgbm_text(path)) == "lightgbm"
    assert format_of(xgboost_json(tmp_path / "a.json").rename(path)) == "xgboost"
    assert format_of(xgboost_json(tmp_path / "a.ubj").rename(path)) == "xgboost"
    assert format_of(skops_file(path)) == "scikit-learn"
    assert format_of(sum_graph(path)) == "onnx"
    save_file({"w": np.zeros(3)}, path)
    assert format_of(path) == "safetensors"
    (tmp_path / "config.json").write_text("{}")
    assert format_of(tmp_path) == "hugging-face"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (pickle.dumps({"a": 1}), "this is a pickle, which could execute any code"),
        (b"\x89HDF\r\n", "convert it with tf2onnx"),
        (b"\x1f\x8b", "decompress it first"),
        (b"hello", "unknown format; expected an ONNX graph"),
        (b'{"learner": ', "cannot be read as JSON"),
        (b'{"a": 1}', "JSON of another program"),
        (b'{"tree_info": []}', "booster.save_model"),
        (b"PK\x03\x04", "the archive is damaged"),
        (b"[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_other_files_are_refused_with_a_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        format_of(path)


def test_pytorch_archives_are_pickles_too(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(ArtifactError, match="this is a pickle"):
        format_of(tmp_path / "model.pt")


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a folder without config\.json"):
        format_of(tmp_path)
    with pytest.raises(ArtifactError, match="No such file"):
        format_of(tmp_path / "none")


@given(content=st.binary(max_size=200))
def test_any_content_has_a_format_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-content"
    path.write_bytes(content)
    try:
        format_of(path)
    except ArtifactError as error:
        assert str(path) in str(error)
