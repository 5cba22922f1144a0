"""Write the pages of the documentation site: those of ``docs/``, and one for each file outside that they link to.

    python docs/site/pages.py build/site/pages

The pages of ``docs/`` link to sources, configurations and other READMEs, so that the links work in a checkout. The site
has no such files. Each linked file becomes a page ``source/<path>.md``, and the links are pointed to it.
"""

import ast
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
_FENCE = re.compile(r"(?ms)^( *)(```+|~~~+).*?^ *\2 *$")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", "": "bash"}


def write_pages(target: Path) -> list[Path]:
    """Replace the folder ``target`` by all pages and assets of the site.

    Returns:
        The original files.

    Raises:
        FileNotFoundError: a page links to a file that does not exist.
    """
    shutil.rmtree(target, ignore_errors=True)
    pending = sorted(path for path in DOCS.rglob("*") if path.is_file() and path.suffix != ".py")
    written: dict[Path, None] = {}
    while pending:
        path = _readme_of(pending.pop())
        if path in written:
            continue
        written[path] = None
        page = target / _uri(path)
        page.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            pending += _linked(text, path)
            page.write_text(_with_links(text, path), encoding="utf-8")
        elif path.is_relative_to(DOCS):
            shutil.copyfile(path, page)
        else:
            page.write_text(_source_page(path), encoding="utf-8")
    return list(written)


def _with_links(text: str, path: Path) -> str:
    """Return the Markdown with its links pointed to pages of the site. Blocks of code stay as they are."""

    def rewritten(match: re.Match[str]) -> str:
        target = (path.parent / match[1]).resolve()
        return os.path.relpath(_uri(_readme_of(target)), os.path.dirname(_uri(path)) or ".")

    pieces, start = [], 0
    for block in _FENCE.finditer(text):
        pieces += [_LINK.sub(rewritten, text[start : block.start()]), block[0]]
        start = block.end()
    return "".join([*pieces, _LINK.sub(rewritten, text[start:])])


def _linked(text: str, path: Path) -> list[Path]:
    """Return the files and folders that a page links to."""
    links = _LINK.findall(_FENCE.sub("", text))
    broken = [link for link in links if not (path.parent / link).exists()]
    if broken:
        raise FileNotFoundError(
            f"{path.relative_to(ROOT)}: no such link targets, got {broken}; correct the links"
        )
    return [(path.parent / link).resolve() for link in links]


def _readme_of(path: Path) -> Path:
    """Return the README of a folder if it has one, else the path itself."""
    readme = path / "README.md"
    return readme if readme.is_file() else path


def _uri(path: Path) -> str:
    """Return where a file's page lies in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix().lstrip(".")  # a leading dot would hide the page
    return f"source/{name.removesuffix('.md')}.md"


def _source_page(path: Path) -> str:
    """Return a page that shows a file, or lists a folder. The search leaves it out."""
    header = f"---\nsearch: {{exclude: true}}\n---\n\n# {path.relative_to(ROOT).as_posix()}\n\n"
    if path.is_dir():
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith(("_", ".")))
        return header + "".join(f"- `{entry.name}`{_summary(entry)}\n" for entry in entries)
    text = path.read_text(encoding="utf-8")
    return f"{header}````{_LANGUAGES.get(path.suffix, 'text')}\n{text}\n````\n"


def _summary(path: Path) -> str:
    """Return the first line of a module's or package's docstring, after a colon."""
    module = path / "__init__.py" if path.is_dir() else path
    if module.suffix != ".py" or not module.exists():
        return ""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    return f": {docstring.splitlines()[0]}" if docstring else ""


if __name__ == "__main__":
    print(f"{len(write_pages(Path(sys.argv[1])))} pages and assets")
