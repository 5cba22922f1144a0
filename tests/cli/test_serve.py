"""``rankway serve``: errors that are found before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import root
from tests.pipelines import make_pipeline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "0"], "command line: http.port: Input should be greater than or equal to 1, got 0"),
        (["--port", "99999"], "command line: http.port: Input should be less than or equal to 65535"),
        (["--host", ""], "command line: http.host: String should have at least 1 character"),
    ],
)
def test_refuses_invalid_address_and_names_the_field(
    tmp_path: Path, options: list[str], message: str
) -> None:
    arguments = ["serve", str(make_pipeline(tmp_path)), *options]
    shown = CliRunner().invoke(root(arguments), arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 2
    assert message in shown.output
