import subprocess
import sys
from pathlib import Path

import pytest

from models.artifact import Artifact
from walks.demo.archive import ARCHIVE
from walks.demo.unpack import unpack_demo
from walks.errors import BadArchiveError

ROOT = Path(__file__).parents[3]


def state(root: Path) -> dict[str, int]:
    """Return the time of the last change of every file."""
    return {
        str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()
    }


def test_unpacks_only_once(tmp_path: Path) -> None:
    world, unpacked = unpack_demo(tmp_path)
    assert (world.root, unpacked) == (tmp_path / "walks" / "demo", True)
    before = state(world.root)
    assert unpack_demo(tmp_path) == (world, False)
    assert state(world.root) == before


@pytest.mark.parametrize("damage", ["removed", "cut", "of another version"])
def test_restores_a_damaged_world_but_keeps_live_features(tmp_path: Path, damage: str) -> None:
    world, _ = unpack_demo(tmp_path)
    model = world.root / "models" / "ranker" / "model.onnx"
    if damage == "removed":
        model.unlink()
    elif damage == "cut":
        model.write_bytes(b"half")
    else:
        (world.root / "archive.sha256").write_bytes(b"\xff\xfe")
    world.live.mkdir()
    (world.live / "closed.npy").write_text("kept")
    assert unpack_demo(tmp_path)[1]
    assert Artifact.load(model.parent).name == "ranker"
    assert (world.live / "closed.npy").read_text() == "kept"


def test_a_damaged_archive_leaves_the_world_as_it_was(tmp_path: Path) -> None:
    world, _ = unpack_demo(tmp_path)
    before = state(world.root)
    damaged = tmp_path / "world.tar.gz"
    damaged.write_bytes(ARCHIVE.read_bytes()[:1000])
    with pytest.raises(BadArchiveError):
        unpack_demo(tmp_path, damaged)
    assert state(world.root) == before


def test_two_processes_unpack_once(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    program = (
        "import sys; from pathlib import Path; from walks.demo.unpack import unpack_demo\n"
        "print(unpack_demo(Path(sys.argv[1]))[1])"
    )
    command = [sys.executable, "-c", program, str(home)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].strip() for process in both]
    assert sorted(outputs) == ["False", "True"]
    assert [path.name for path in (home / "walks").iterdir() if path.is_dir()] == ["demo"]
