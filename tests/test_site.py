"""The documentation site has every page and no broken link."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.site.pages import write_pages

ROOT = Path(__file__).resolve().parent.parent


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name Python functions."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, name, _node: name)


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)["nav"]
    pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(_pages(navigation)) == pages


def _pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for part in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from _pages(part)


def test_a_linked_file_outside_the_documentation_has_a_page(tmp_path: Path) -> None:
    written = write_pages(tmp_path / "pages")
    assert ROOT / "configs" / "walks.yaml" in written
    page = tmp_path / "pages" / "source" / "configs" / "walks.yaml.md"
    assert "candidates: {kind: near" in page.read_text()
    guide = (tmp_path / "pages" / "guides" / "first-pipeline.md").read_text()
    assert "(../source/configs/walks.yaml.md)" in guide


def test_a_broken_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.md").write_text("[gone](gone.md)")
    monkeypatch.setattr("docs.site.pages.ROOT", tmp_path)
    monkeypatch.setattr("docs.site.pages.DOCS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"index\.md: no such link targets, got \['gone\.md'\]"):
        write_pages(tmp_path / "pages")
