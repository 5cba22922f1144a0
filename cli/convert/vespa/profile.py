"""Rank profiles: what one inherits, and the parts of its expressions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cli.convert.vespa.schema_text import Statement
from services.errors import ConfigError

_INHERITS = re.compile(r"^(?P<name>[^\s{]+)(?:\s+inherits\s+(?P<parents>.+))?$")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_ARGUMENT = re.compile(r"\s*\(([^()]*)\)")
_OUTPUT = re.compile(r"(?:\.\w+)+")
_FLOAT = re.compile(r"-?\d{1,300}(?:\.\d+)?")
_QUOTED = re.compile(r'"[^"\n]*"')
_BUILT_IN = frozenset({"default", "unranked"})
"""Vespa's own profiles."""
PHASES = ("first-phase", "second-phase", "global-phase")


@dataclass(frozen=True, slots=True)
class Call:
    """A rank feature or function in an expression, such as ``attribute(price)``.

    Attributes:
        argument: the text in its parentheses, without quotes.
        output: the text after a dot, such as ``completeness``.
        is_call: whether parentheses follow the name.
    """

    name: str
    argument: str = ""
    output: str = ""
    is_call: bool = False

    @property
    def text(self) -> str:
        """The call as it is written."""
        return f"{self.name}({self.argument})" if self.argument else self.name


@dataclass
class Profile:
    """A rank profile with everything that it inherits.

    Attributes:
        phases: the statement of each phase.
        functions: expressions by the name of the function.
        inputs: type of each query input.
        defaults: the number that replaces a missing query input.
        models: its own ``onnx-model`` blocks by name.
        other: the other statements.
    """

    name: str
    phases: dict[str, Statement] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, float] = field(default_factory=dict)
    models: dict[str, Statement] = field(default_factory=dict)
    other: dict[str, Statement] = field(default_factory=dict)

    def calls(self, expression: str) -> list[Call]:
        """Return the rank features of an expression, with those in the functions that it calls."""
        found: dict[Call, None] = {}
        seen: set[str] = set()
        waiting = [expression]
        while waiting:
            for call in calls_in(waiting.pop()):
                # Functions are called with or without parentheses, and are arguments of Vespa's own functions.
                called = {call.name, *re.split(r"[\s,]+", call.argument)} & self.functions.keys() - seen
                seen |= called
                waiting += [self.functions[name] for name in sorted(called)]
                if call.name not in self.functions:
                    found[call] = None
        return list(found)


def calls_in(expression: str) -> Iterator[Call]:
    """Yield every name in an expression, with its argument if that has no parentheses itself.

    Names in such an argument are part of the call, unless they are all of it, as in ``reciprocal_rank(score)``.
    """
    quoted = _QUOTED.findall(expression)
    numbers = iter(range(len(quoted)))
    plain = _QUOTED.sub(lambda _: f"_q{next(numbers)}_", expression)
    at = 0
    while (name := _NAME.search(plain, at)) is not None:
        at = name.end()
        argument, output = _ARGUMENT.match(plain, at), None
        if argument is not None:
            output = _OUTPUT.match(plain, argument.end())
            at = (output or argument).end()
        inner = argument[1].strip() if argument is not None else ""
        literal = re.fullmatch(r"_q(\d+)_", inner)
        if literal is not None:
            inner = quoted[int(literal[1])].strip('"')
        yield Call(name[0], inner, output[0].lstrip(".") if output is not None else "", argument is not None)


def resolved(name: str, profiles: dict[str, Statement], file: str) -> Profile:
    """Return a profile with what it inherits. Its own statements replace inherited ones.

    Raises:
        ConfigError: it inherits itself, or a profile that is not there.
    """
    profile = Profile(name)
    _add(profile, name, profiles, file, ())
    return profile


def name_and_parents(statement: Statement) -> tuple[str, list[str]]:
    """Return the name in a head, and the names after ``inherits``."""
    match = _INHERITS.match(statement.arguments)
    if match is None:
        return statement.arguments, []
    return match["name"], [parent.strip() for parent in (match["parents"] or "").split(",") if parent.strip()]


def _add(
    profile: Profile, name: str, profiles: dict[str, Statement], file: str, path: tuple[str, ...]
) -> None:
    if name in path and name in _BUILT_IN:
        return  # it inherits Vespa's own profile of the same name
    if name in path:
        raise ConfigError(
            f"{file}: rank-profile {name}: inherits itself through {', '.join(path)}; remove one"
        )
    statement = profiles.get(name)
    if statement is None:
        if name in _BUILT_IN:
            return
        raise ConfigError(
            f"{file}: rank-profile {path[-1]}: inherits a profile that is not there, got {name}; add it"
        )
    for parent in name_and_parents(statement)[1]:
        _add(profile, parent, profiles, file, (*path, name))
    for inner in statement.body:
        if inner.keyword in PHASES:
            profile.phases[inner.keyword] = inner
        elif inner.keyword in {"function", "macro"}:
            words = inner.arguments.removeprefix("inline ").partition("(")[0].strip()
            profile.functions[words] = inner.text("expression")
        elif inner.keyword == "inputs":
            for declared, kind, value in _inputs(inner):
                profile.inputs[declared] = kind
                if _FLOAT.fullmatch(value):
                    profile.defaults[declared] = float(value)
        elif inner.keyword == "onnx-model":
            profile.models[inner.arguments] = inner
        else:
            profile.other[inner.keyword] = inner


def _inputs(statement: Statement) -> Iterator[tuple[str, str, str]]:
    for inner in statement.body:
        match = re.match(r"(?:query\(\s*([^)\s]+)\s*\)|([A-Za-z_]\w*))\s*(.*)$", inner.head)
        if match is not None:
            yield match[1] or match[2], match[3].strip() or "double", inner.value
