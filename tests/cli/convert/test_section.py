"""Values of a source are checked where they are read, and errors name their place."""

from typing import Any

import pytest

from cli.convert.section import Section
from services.errors import ConfigError


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", ["a"]),
        ("text", True),
        ("number", "12"),
        ("number", float("nan")),
        ("number", 10**400),
        ("integer", 1.5),
        ("integers", [1, True]),
        ("integers", [2**63]),
        ("texts", [{}]),
        ("section", [1]),
        ("sections", "a"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(method: str, value: Any) -> None:
    section = Section({"key": value}, "models.default", "config.yml")
    arguments = ("key", 0) if method == "integer" else ("key",)
    with pytest.raises(
        ConfigError, match=r"config\.yml: models\.default\.key.*: expected .*, got .*; correct it"
    ):
        getattr(section, method)(*arguments)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("10m", 600), ("24h", 86_400), ("90d", 7_776_000), ("1 day", 86_400)],
)
def test_reads_durations(text: str, seconds: float) -> None:
    assert Section({"ttl": text}, "", "f").duration_s("ttl", 0) == seconds


@pytest.mark.parametrize("text", ["", "5", "-5d", "1y", "9999999999999d", "d"])
def test_refuses_other_texts_as_durations(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a duration"):
        Section({"ttl": text}, "", "f").duration_s("ttl", 0)


def test_knows_the_keys_that_nothing_has_read() -> None:
    section = Section({"a": 1, "b": 2, "c": None}, "", "f")
    section.get("b")
    assert section.unread() == ["a", "c"]


def test_a_number_too_long_to_print_is_still_refused_with_an_error() -> None:
    with pytest.raises(ConfigError, match="thousands of digits"):
        Section({"port": 10**5000}, "", "f").integer("port", 0)
