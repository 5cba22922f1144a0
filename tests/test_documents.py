"""The operator's guide agrees with the code that it describes."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args, get_origin

import msgspec
import pytest
from pydantic import BaseModel

from autoscale.registries.options import ByKind
from services.config.pipeline import PipelineConfig
from services.ingress.schema import RankRequest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("autoscale", "benchmarks", "cli", "models", "services", "tests", "walks")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("*/*.md")), *sorted(ROOT.glob("docs/*/*.md"))]
ROW = re.compile(r"^\| `([^`]+)` \|([^|]*)\|", re.MULTILINE)
NO_DEFAULT = ""


def models_in(annotation: object, markers: Sequence[object] = ()) -> list[type[BaseModel]]:
    """Return the config models in an annotation, however they are wrapped. For built-in kinds, return all kinds."""
    markers = [*markers, *getattr(annotation, "__metadata__", ())]
    kinds = [
        marker.registry.get(kind).config
        for marker in markers
        if isinstance(marker, ByKind)
        for kind in marker.registry.builtins
    ]
    if kinds:
        return kinds
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the shown default of every field below. An optional part is also a field."""
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation, field.metadata)
        path = f"{prefix}{name}" + (".<name>" if get_origin(field.annotation) is dict else "")
        if not inner:
            yield (
                path,
                NO_DEFAULT if field.is_required() else f"`{field.get_default(call_default_factory=True)}`",
            )
        elif not field.is_required() and field.default is None:
            yield path, "none"
        for part in inner:
            yield from fields_of(part, f"{path}.")


def documented(name: str) -> dict[str, str]:
    """Return the default column of the guide's field tables, by field."""
    rows = ROW.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
    return {field: default.strip() for field, default in rows}


def test_guide_lists_every_field_of_a_pipeline_with_its_default() -> None:
    expected = {
        path: default for path, default in fields_of(PipelineConfig) if not path.startswith("training")
    }
    assert documented("configuration.md") == expected


def descriptions_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the description of every field below that has one in the code."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}" + (".<name>" if get_origin(field.annotation) is dict else "")
        if field.description is not None:
            yield path, field.description
        for part in models_in(field.annotation, field.metadata):
            yield from descriptions_of(part, f"{path}.")


def test_guide_describes_fields_as_the_code_does() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\| (.*) \|$", text, re.MULTILINE))
    descriptions = {
        path: description
        for path, description in descriptions_of(PipelineConfig)
        if not path.startswith("training")
    }
    assert descriptions
    for path, description in descriptions.items():
        assert rows[path].startswith(description), path


def test_guide_lists_every_field_of_a_request() -> None:
    fields = [field.name for field in msgspec.structs.fields(RankRequest)]
    assert [name for name in fields if name not in documented("http.md")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_files_and_targets_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [link for link in links if link and not (document.parent / link).exists()] == []
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)`", text)) - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_modules_and_folders_that_exist(document: Path) -> None:
    # A name in capitals stands for the reader's own. The guide's package acme does not exist in the tree.
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    names = re.findall(r"`([\w./-]+)`", document.read_text(encoding="utf-8"))
    names = [name for name in names if not re.search(r"\b[A-Z]{2,}\b|_[A-Z]+\.", name)]
    modules = [
        name for name in names if name.endswith(".py") or (name.partition("/")[0] in folders and "/" in name)
    ]
    assert [name for name in modules if not _exists(name)] == []


def _exists(name: str) -> bool:
    return (ROOT / name).exists() or any(
        path.as_posix().endswith(f"/{name}")
        for package in PACKAGES
        for path in (ROOT / package).rglob(f"*{Path(name).suffix}")
    )


def test_every_document_that_describes_the_map_has_its_attribution() -> None:
    for name in ("README.md", "NOTICE", "walks/README.md", "docs/http.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "OpenStreetMap contributors" in text, name
        assert "ODbL" in text, name
