"""The text of a virtual key: `tg_<id>_<secret>_<check>`, all but the prefix in base32 letters.

The check digits let a mistyped or cut key be refused before anything is looked up.
"""

import re
from zlib import crc32

ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 12, 32, 6
PREFIX = "tg_"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
KEY_LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + 1 + CHECK_LENGTH

_SHAPE = re.compile(r"tg_([a-z2-7]{12})_[a-z2-7]{32}_([a-z2-7]{6})")


def assemble(key_id: str, secret: str) -> str:
    """The whole key text for an id (12 letters) and a secret (32 letters)."""
    stem = f"{PREFIX}{key_id}_{secret}"
    return f"{stem}_{_check(stem)}"


def key_id_of(text: str) -> str | None:
    """The id within a well-formed key, or None: nothing is looked up for a malformed one."""
    if len(text) != KEY_LENGTH:
        return None
    match = _SHAPE.fullmatch(text)
    if match is None or _check(text[: -CHECK_LENGTH - 1]) != match[2]:
        return None
    return match[1]


def _check(stem: str) -> str:
    """Thirty bits of the CRC: every single wrong letter and every swap of neighbours changes them."""
    value = crc32(stem.encode())
    return "".join([_LETTERS[value >> shift & 31] for shift in (0, 5, 10, 15, 20, 25)])
