"""Lineage: a data hash depends on names and contents, not on the folder."""

import shutil
from pathlib import Path

import pytest

from models.training import lineage
from models.training.lineage import hash_of, hash_of_data, hash_of_training_code


def write(root: Path, name: str, content: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_text(content)
    return root


def test_hash_of_data_depends_only_on_names_and_contents(tmp_path: Path) -> None:
    first = hash_of_data([write(tmp_path / "a", "labels", "1")])
    assert hash_of_data([write(tmp_path / "b", "labels", "1")]) == first
    assert hash_of_data([write(tmp_path / "c", "labels", "2")]) != first
    assert hash_of_data([write(tmp_path / "d", "scores", "1")]) != first


def test_hash_of_values_ignores_the_order_of_keys() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})


def test_hash_of_the_code_is_equal_in_every_call() -> None:
    assert len(hash_of_training_code()) == 16
    assert hash_of_training_code() == hash_of_training_code()


def test_the_code_hash_covers_files_in_folders_of_the_training_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(lineage._CODE, tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(lineage, "_CODE", tmp_path / "models")
    before = lineage.hash_of_training_code()
    lists = tmp_path / "models/training/examples/lists.py"
    lists.write_text(lists.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    assert lineage.hash_of_training_code() != before
