import argparse

import pytest

from benchmarks.peers import main, parse_counts


def test_client_counts_are_read_in_order() -> None:
    assert parse_counts("1,10,100") == (1, 10, 100)


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "1,,2", "1,1", "1.5"])
def test_refuses_other_client_counts(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be different whole numbers"):
        parse_counts(text)


@pytest.mark.parametrize(
    "arguments", [["--rounds", "0"], ["--seconds", "0"], ["--peer", "other"], ["--clients", "x"]]
)
def test_refuses_a_plan_that_measures_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err
