"""Names of a file's nodes as identifiers: files, modules and wires are called after them."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_NAME = 64
"""Letters of an identifier: words stand in front of it and behind it."""


def identifier(name: str) -> str:
    """Turn a name of any alphabet and length into an identifier that is a name of files and of hardware too.

    Accents go; a letter that is not in ASCII becomes its code point; a long name keeps its beginning, and gets a hash.

    >>> identifier("/layer1.0/conv"), identifier("größe 1"), identifier("卷")
    ('layer1_0_conv', 'gro_udf_e_1', 'u5377')
    """
    plain = "".join(_ascii(letter) for letter in unicodedata.normalize("NFKD", name))
    word = re.sub(r"_*[^A-Za-z0-9]+_*", "_", plain).strip("_")
    if len(word) > LONGEST_NAME:
        word = f"{word[: LONGEST_NAME - 9].rstrip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"n{word}" if word[:1].isdigit() else word


def _ascii(letter: str) -> str:
    if letter.isascii():
        return letter
    return "" if unicodedata.combining(letter) else f"_u{ord(letter):x}_" if letter.isalnum() else "_"
