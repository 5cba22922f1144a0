"""Programs named kubectl that are not kubectl."""

from pathlib import Path

import pytest

from cli.k8s.kubectl import Kubectl, KubernetesError


@pytest.mark.parametrize(
    ("script", "mode", "message"),
    [
        ("#!/bin/sh\necho hello\n", 0o755, "expected JSON, got 'hello"),
        ("not a program", 0o644, "cannot be run: "),
    ],
)
def test_reports_program_that_is_not_kubectl(tmp_path: Path, script: str, mode: int, message: str) -> None:
    program = tmp_path / "kubectl"
    program.write_text(script)
    program.chmod(mode)
    with pytest.raises(KubernetesError, match=message):
        Kubectl(str(program)).get("raycluster", "a")
