"""Every TOML file that is read comes in through here."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """Read a TOML file; one from Windows, with a byte order mark and CRLF, is one too.

    Args:
        path: the file.
        name: what to call it in an error.

    Raises:
        BirealError: it cannot be read, or it is no TOML.
    """
    try:
        content = path.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BirealError(f"{name} cannot be read: it is UTF-16; save it as UTF-8")
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BirealError(f"{name} cannot be read: line {line} is not UTF-8 text") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise BirealError(f"{name} cannot be read: {reason}") from None
