"""Files that are written together, or not at all."""

from collections.abc import Mapping
from pathlib import Path

from services.errors import ConfigError


def written_together(texts: Mapping[Path, str], *, overwrite: bool) -> None:
    """Write texts to files.

    Raises:
        ConfigError: a file exists and may not be replaced, or cannot be written. Nothing is left half-written.
    """
    existing = [str(path) for path in texts if path.exists()]
    if existing and not overwrite:
        raise ConfigError(
            f"--out: must not exist, got {', '.join(existing)}; name another file, or add --overwrite"
        )
    parts = {path: path.with_name(f".{path.name}.part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_text(text, encoding="utf-8")
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise ConfigError(f"--out: cannot be written: {error}; name a file in an existing folder") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
