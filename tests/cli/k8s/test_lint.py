"""``rankway k8s lint`` on the command line: a folder, a file, standard input and invalid input."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import root
from tests.k8s.built import K8S, built

DEV = K8S / "overlays" / "dev"


def lint(build: str, text: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(root(["k8s"]), ["k8s", "lint", build], input=text)
    return done.exit_code, done.stdout, done.stderr


def text_of(folder: Path) -> str:
    return str(yaml.safe_dump_all(built(folder)))


def test_valid_folder_has_no_findings() -> None:
    code, out, errors = lint(str(DEV))
    assert (code, out) == (0, "")
    assert "0 findings" in errors


def test_each_finding_is_a_line_with_object_value_remedy_and_rule(tmp_path: Path) -> None:
    changed = text_of(DEV).replace("excludeHeadPodFromServeSvc: true", "excludeHeadPodFromServeSvc: false")
    (tmp_path / "build.yaml").write_text(changed)
    wanted = (
        "RayService cluster-dev spec.excludeHeadPodFromServeSvc: the endpoint also routes requests to the head pod; "
        "set it to true [head_receives_no_requests]\n"
    )
    assert lint(str(tmp_path / "build.yaml"))[:2] == (1, wanted)
    assert lint("-", changed)[:2] == (1, wanted)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is not YAML"),
        ("", "contains no Kubernetes objects"),
        ("- 1", "contains no Kubernetes objects"),
    ],
)
def test_refuses_input_that_is_not_a_build(text: str, why: str) -> None:
    code, _, errors = lint("-", text)
    assert code == 2
    assert why in errors


def test_refuses_missing_file_and_failed_build(tmp_path: Path) -> None:
    assert "cannot be read" in lint(str(tmp_path / "none.yaml"))[2]
    code, _, errors = lint(str(tmp_path))
    assert code == 2
    assert "does not build" in errors
