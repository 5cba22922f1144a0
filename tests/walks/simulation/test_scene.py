from pathlib import Path

import numpy as np
import pytest

from walks.errors import NoWorldError
from walks.simulation.scene import Scene
from walks.world import World


def test_loaded_scene_equals_the_saved_one(world: World, tmp_path: Path) -> None:
    scene = Scene.load(world.scene)
    scene.save(tmp_path / "again.npz")
    again = Scene.load(tmp_path / "again.npz")
    for part in ("people", "truth", "news", "weather"):
        for name, values in vars(getattr(scene, part)).items():
            assert np.array_equal(values, getattr(getattr(again, part), name)), (part, name)
    for name in ("keys", "corners", "origin"):
        assert np.array_equal(getattr(scene, name), getattr(again, name))
    assert scene.projection.to_latlon(np.zeros((1, 2)))[0] == pytest.approx(scene.origin)


@pytest.mark.parametrize("content", [None, b"", b"PK half", "npz"])
def test_error_for_unreadable_scene_names_the_remedy(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "scene.npz"
    if content == "npz":
        np.savez(path, other=np.zeros(1))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(NoWorldError, match="rankway walks build"):
        Scene.load(path)
