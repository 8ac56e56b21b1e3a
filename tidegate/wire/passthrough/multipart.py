"""The fields of a form that was sent in parts (RFC 7578); its files stay as they are."""

import re
from typing import NamedTuple

from tidegate.model.errors import BadRequest

MAX_PARTS = 256
MAX_HEAD_BYTES = 4096
MAX_FIELD_BYTES = 65_536
"""A longer part is a file to us, whatever it says."""

_BOUNDARY = re.compile(
    r'(?i)multipart/form-data;(?:.*;)?\s*boundary=(?:"([^"\\]{1,70})"|([^\s";,]{1,70}))\s*(?:;|$)'
)
_NAME = re.compile(
    rb'(?i)content-disposition:[ \t]*form-data;[ \t]*name="([^"\\\r\n]*)"(;[ \t]*filename\*?=[^\r\n]*)?[ \t]*'
)
_BLANK = b"\r\n\r\n"


class Form(NamedTuple):
    """`fields` are the short parts by name, `file_bytes` the size of the others.

    `is_plain`: every part could be read, so that no name can hide in one.
    """

    fields: dict[str, bytes]
    file_bytes: int
    is_plain: bool


def boundary_of(content_type: str) -> str:
    """Return the boundary that a content type names; empty where it is of no form."""
    found = _BOUNDARY.match(content_type)
    return (found[1] or found[2]) if found else ""


def read_form(raw: bytes, boundary: str) -> Form:
    """Read a form, strictly: what two readers could read differently makes it not plain.

    Raises BadRequest above MAX_PARTS, or where a field stands twice that is not written as a list (`x[]`).
    """
    mark = b"--" + boundary.encode("latin-1", "replace")
    pieces = (b"\r\n" + raw).split(b"\r\n" + mark, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 2:
        raise BadRequest(f"The form has more than {MAX_PARTS} parts; send fewer")
    fields: dict[str, bytes] = {}
    is_plain = len(pieces) > 1 and not pieces[0] and pieces[-1] in (b"--", b"--\r\n")
    file_bytes = 0
    for piece in pieces[1:-1]:
        head, blank, value = piece.partition(_BLANK)
        name = _name_of(head) if blank and len(head) <= MAX_HEAD_BYTES else None
        if name is None:
            is_plain = False
            continue
        text, is_file = name
        if is_file or len(value) > MAX_FIELD_BYTES:
            file_bytes += len(value)
        elif text in fields and not text.endswith("[]"):
            raise BadRequest(f"the form's field {text[:64]!r} stands twice; send it once", param=text[:64])
        else:
            fields[text] = value
    return Form(fields, file_bytes, is_plain)


def _name_of(head: bytes) -> tuple[str, bool] | None:
    """Return a part's name, and whether it is a file; None for a head that cannot be read one way alone."""
    if not head.startswith(b"\r\n"):
        return None
    found = [line for line in head[2:].split(b"\r\n") if line[:20].lower() == b"content-disposition:"]
    match = _NAME.fullmatch(found[0]) if len(found) == 1 else None
    if match is None or b"\n" in head.replace(b"\r\n", b""):
        return None
    return match[1].decode("utf-8", "replace"), match[2] is not None
