"""Files that appear whole or not at all, and what a file or folder holds, as a hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError

UNFINISHED = ".stage-"
"""Names of what is being written begin so: what a killed process left is known by it."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside `path` for a file or a folder; when the block ends well, it takes the place of `path`.

    Until then `path` stays as it was, whatever goes wrong.
    """
    part = path.with_name(f"{UNFINISHED}{path.name}")
    remove(part)
    try:
        yield part
        if path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object to a file, whose folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: Path, *keys: str, remedy: str = "remove it to make it again") -> dict[str, Any]:
    """Read a JSON object that has at least these keys; `remedy` ends the line about a broken one.

    Raises:
        BirealError: the file cannot be read, is no JSON object or lacks a key.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not JSON ({error})"
        raise BirealError(f"{path} cannot be read: {reason}; {remedy}") from None
    problem = "is no JSON object" if not isinstance(content, dict) else None
    problem = problem or next((f"lacks '{key}'" for key in keys if key not in content), None)
    if problem:
        raise BirealError(f"{path} {problem}: it is not a file of bireal-hw; {remedy}")
    return content


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's relative names and contents; "" if there is nothing.

    Byte-code caches do not count.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(path)}\n{content_hash(file)}\n".encode())
    elif path.exists():
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256")
    else:
        return ""
    return digest.hexdigest()
