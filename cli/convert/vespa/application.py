"""Read a Vespa schema and one of its rank profiles."""

import re
from collections.abc import Iterator
from pathlib import Path

from cli.convert.draft import Draft
from cli.convert.sources import source_text
from cli.convert.vespa.phases import Schema, convert_phases
from cli.convert.vespa.profile import name_and_parents, resolved
from cli.convert.vespa.schema_text import Statement, parsed
from services.errors import ConfigError

_FOLDERS = ("", "schemas", "src/main/application/schemas")
"""The folders of an application in which its schema may lie."""
_OTHER = {
    "match-features": "the served log keeps the features of each answer: see log.path",
    "summary-features": "the served log keeps the features of each answer: see log.path",
    "rank-features": "the served log keeps the features of each answer: see log.path",
    "diversity": "see reranker.rules.cap and reranker.diversity",
}
_SCHEMA = {
    "fieldset": "a set of fields for text search",
    "document-summary": "the fields of an answer. Rankway's answers have ids and scores, and /v1/items has the details",
    "constant": "put the constant into the model's graph",
    "import": "a field of another document type. Write it into the catalogue",
}


def read_vespa(source: Path, *, name: str, profile: str | None) -> Draft:
    """Read a schema.

    Args:
        source: the .sd file, or the folder of the application.
        name: name of the pipeline.
        profile: the rank profile. None: the only one.

    Raises:
        ConfigError: the file cannot be read, or it has several profiles and none was chosen.
    """
    path = _schema_file(source)
    root = next((each for each in _read(path) if each.keyword in {"schema", "search"}), None)
    if root is None:
        raise ConfigError(f"{path}: expected a schema, such as `schema product {{`; name a schema file")
    profiles = dict(_profiles(root, path))
    chosen = _chosen(profiles, profile, path)
    used = resolved(chosen, profiles, str(path))
    models = {each.arguments: each for each in root.all("onnx-model")}
    schema = Schema(dict(_fields(root)), models, path.parent.parent / "models")
    draft = Draft(name)
    convert_phases(draft, used, schema)
    if not used.phases:
        draft.decide(f"rank-profile {chosen}", "", "it has no phase of its own: Vespa ranks by nativeRank")
    for keyword in used.other:
        place = f"rank-profile {chosen}: {keyword}"
        if keyword in _OTHER:
            draft.decide(place, "", _OTHER[keyword])
        else:
            draft.none(place, "an option of Vespa's search")
    _leftover(draft, root, schema, [each for each in profiles if each != chosen])
    return draft


def _schema_file(source: Path) -> Path:
    if not source.is_dir():
        return source
    try:
        found = sorted(path for folder in _FOLDERS for path in (source / folder).glob("*.sd"))
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error}") from error
    if len(found) != 1:
        names = ", ".join(str(path) for path in found) or "none"
        raise ConfigError(f"{source}: expected one schema file, got {names}; name the .sd file")
    return found[0]


def _read(path: Path) -> tuple[Statement, ...]:
    return parsed(source_text(path), str(path))


def _profiles(root: Statement, path: Path) -> Iterator[tuple[str, Statement]]:
    """Yield the profiles in the schema, and those in .profile files in the folder of its name."""
    statements = list(root.all("rank-profile"))
    for file in sorted((path.parent / path.stem).rglob("*.profile")):
        statements += [each for each in _read(file) if each.keyword == "rank-profile"]
    for statement in statements:
        yield name_and_parents(statement)[0], statement


def _chosen(profiles: dict[str, Statement], wanted: str | None, path: Path) -> str:
    names = ", ".join(profiles) or "none"
    if wanted is not None:
        if wanted not in profiles:
            raise ConfigError(f"{path}: no such rank-profile, got {wanted!r}; name one of {names}")
        return wanted
    if len(profiles) != 1:
        raise ConfigError(f"{path}: expected one rank-profile, got {names}; choose with --profile")
    return next(iter(profiles))


def _fields(root: Statement) -> Iterator[tuple[str, str]]:
    for owner in (*root.all("document"), root):
        for each in owner.all("field"):
            name, _, kind = each.arguments.partition(" type ")
            yield name.strip(), kind.strip()


def _leftover(draft: Draft, root: Statement, schema: Schema, profiles: list[str]) -> None:
    """Report the fields, profiles and other parts of the schema that the profile does not use."""
    read = {word for finding in draft.findings for word in re.findall(r"\w+", finding.source)}
    unread = [name for name in schema.fields if name not in read]
    if unread:
        draft.decide(
            f"fields {', '.join(unread)}",
            "",
            "the profile does not read them. Put those to show into the items' details",
        )
    if profiles:
        draft.decide(f"rank-profiles {', '.join(profiles)}", "", "convert each on its own with --profile")
    for keyword in dict.fromkeys(each.keyword for each in root.body):
        if keyword in _SCHEMA:
            draft.none(keyword, _SCHEMA[keyword])
        elif keyword not in {"document", "field", "rank-profile", "onnx-model"}:
            draft.none(keyword, "an option of Vespa's search")
