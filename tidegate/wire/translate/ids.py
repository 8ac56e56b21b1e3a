"""Ids of tool calls, which each side of a translation must be able to say and to take back.

Anthropic takes letters, digits, `_` and `-`; chat providers take and give anything, Mistral nine letters or
digits. Nothing is remembered: an id that does not fit is spelled in base64, and read back from it.
"""

import base64
import binascii
import hashlib
import re

_FITS = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)
_NINE = re.compile(r"[a-zA-Z0-9]{9}", re.ASCII)
_PREFIX = "tgid_"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def anthropic_id(ident: str) -> str:
    """Return an id as Anthropic takes it; `plain_id` gives the id back."""
    if _FITS.fullmatch(ident) and not ident.startswith(_PREFIX):
        return ident
    spelled = base64.urlsafe_b64encode(ident.encode("utf-8", "surrogatepass")).rstrip(b"=")
    return _PREFIX + spelled.decode()


def plain_id(ident: str) -> str:
    """Return the id that `anthropic_id` spelled; any other as it is."""
    if not ident.startswith(_PREFIX):
        return ident
    spelled = ident.removeprefix(_PREFIX)
    try:
        plain = base64.b64decode(spelled + "=" * (-len(spelled) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ident
    return plain if anthropic_id(plain) == ident else ident


def nine(ident: str) -> str:
    """Return an id of nine letters and digits: the id itself where it is one, else a digest of it."""
    if _NINE.fullmatch(ident):
        return ident
    number = int.from_bytes(hashlib.sha256(ident.encode("utf-8", "surrogatepass")).digest()[:8])
    found = ""
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        found += _DIGITS[digit]
    return found
