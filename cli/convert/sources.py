"""Reading the files of another system."""

from pathlib import Path

from services.errors import ConfigError

_MOST_BYTES = 16 * 1024 * 1024


def source_text(path: Path, most_bytes: int = _MOST_BYTES) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it is no file, is too large, is not UTF-8 or cannot be read.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file; name an existing one")
        size = path.stat().st_size
        if size > most_bytes:
            raise ConfigError(
                f"{path}: must have at most {most_bytes:,} bytes, got {size:,}; name a configuration"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
