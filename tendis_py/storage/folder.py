"""A data folder as files, before RocksDB sees it: is everything there, and whose is it?

RocksDB makes a new database wherever it finds no CURRENT, and deletes the data files that were
there. Knows the names that RocksDB gives its files, nothing of their content.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from tendis_py.errors import StorageError

_DATABASE_FILE = re.compile(r"\d+\.(sst|log|blob|ldb)|(MANIFEST|OPTIONS)-\d+")
_FIRST_MANIFEST = "MANIFEST-000001"
"""RocksDB makes it before CURRENT, and replaces it before anything is written: where it is alone,
the making of an empty database was interrupted."""


def file_names(path: Path) -> set[str]:
    """The names in a data folder, which is made if it is not there. StorageError when it can't be
    used, or when its CURRENT is missing and other files of a database are there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in os.scandir(path)}
    except OSError as error:
        raise StorageError(f"Can't use data folder '{path}': {error.strerror}") from None
    if "CURRENT" not in names:
        refuse_remains(path, names)
    return names


def refuse_remains(path: Path, names: set[str]) -> None:
    """StorageError when ``names``, without CURRENT, are what is left of a database."""
    remains = sorted(name for name in names if _DATABASE_FILE.fullmatch(name))
    if remains in ([], [_FIRST_MANIFEST]):
        return
    missing = ["CURRENT"]
    if not any(name.startswith("MANIFEST-") for name in remains):
        missing.append("MANIFEST-*")
    if not any(name.endswith(".log") for name in remains):
        missing.append("*.log")
    raise StorageError(
        f"'{path}' has files of a database ({', '.join(remains[:3])} …) but not "
        f"{' and '.join(missing)}: an incomplete copy? It is left as it is. Restore what is "
        "missing, or choose another dir to start empty"
    )


def lock_folder(path: Path) -> int:
    """Hold the lock of a data folder, as RocksDB does only where it writes; the open file."""
    if not (path / "CURRENT").exists():
        if path.is_dir():
            file_names(path)
        raise StorageError(f"'{path}' is not a data folder")
    try:
        file = os.open(path / "LOCK", os.O_RDWR)
    except OSError as error:
        raise StorageError(f"Can't use data folder '{path}': {error.strerror}") from None
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise StorageError(_in_use(path)) from None
    return file


def _in_use(path: Path) -> str:
    return f"'{path}' is in use by another process (its LOCK file is held)"


def explain_open_failure(path: Path, reason: str) -> str:
    if "/LOCK: " in reason:
        return _in_use(path)
    return f"Can't open data folder '{path}': {reason}"
