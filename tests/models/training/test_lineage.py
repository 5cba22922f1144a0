"""Lineage: the hash follows the data's names and contents, not where they lie."""

from pathlib import Path

from models.training.lineage import hash_of, hash_of_data, hash_of_training_code


def write(root: Path, name: str, content: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / name).write_text(content)
    return root


def test_the_hash_follows_names_and_contents(tmp_path: Path) -> None:
    first = hash_of_data([write(tmp_path / "a", "labels", "1")])
    assert hash_of_data([write(tmp_path / "b", "labels", "1")]) == first
    assert hash_of_data([write(tmp_path / "c", "labels", "2")]) != first
    assert hash_of_data([write(tmp_path / "d", "scores", "1")]) != first


def test_the_hash_of_values_ignores_their_order() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})


def test_the_code_has_one_hash() -> None:
    assert len(hash_of_training_code()) == 16
    assert hash_of_training_code() == hash_of_training_code()
