"""Second names of an artifact's files. They take no room on the disk, and stay if the first name is removed."""

import os
import shutil
from pathlib import Path


def linked_tree(source: Path, target: Path) -> None:
    """Link all files of a folder into another folder.

    Raises:
        OSError: the files cannot be linked or copied.
    """
    shutil.copytree(source, target, copy_function=link_or_copy, dirs_exist_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Link a file to a second name. Copy it if the file system has no hard links, or the name is on another one.

    Raises:
        OSError: the file can neither be linked nor copied.
    """
    try:
        os.link(os.path.realpath(source), target)  # a symbolic link would be linked itself
    except OSError:
        shutil.copyfile(source, target)
