"""Which request heads are taken: what two readers could read differently is refused."""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from tidegate.gateway.limits import Limits
from tidegate.model.errors import (
    BadRequest,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMediaType,
    UnsupportedTransfer,
)

Headers = list[tuple[bytes, bytes]]

CHUNKED = -1
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"OPTIONS", b"PUT", b"PATCH", b"DELETE"})
SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"content-encoding",
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
    }
)
_VISIBLE = bytes(range(0x20, 0x7F))
_HOST = re.compile(rb"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def check_head(method: bytes, version: str, headers: Headers, limits: Limits) -> tuple[int, bool]:
    """Return the body's declared length in bytes, or CHUNKED, and whether it waits for a 100 Continue.

    Names are in lower case. The parser has already refused control bytes, bare CR or LF, folded lines,
    space before a colon, and lengths that are not plain digits. Raises the refusal otherwise.
    """
    if method not in METHODS:
        raise MethodNotAllowed("This method is not served here; use GET or POST")
    if version not in ("1.1", "1.0"):
        raise BadRequest("Only HTTP/1.1 and HTTP/1.0 are served here")
    fields = dict(headers)
    if len(fields) != len(headers):
        _check_repeats(headers)
    if not b"".join([value for _, value in headers]).isascii():
        raise BadRequest("A header value has bytes outside visible ASCII; percent-encode or rename it")
    host = fields.get(b"host")
    if host is None:
        raise BadRequest("The Host header is missing")
    name = host_name(host)
    if limits.allowed_hosts and not _is_served(name, limits.allowed_hosts):
        raise BadRequest("This Host is not served here; the operator lists served names in `allowed_hosts`")
    encoding = fields.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise UnsupportedMediaType("Compressed request bodies are not read; send it without Content-Encoding")
    expects = version == "1.1" and fields.get(b"expect", b"").lower() == b"100-continue"
    expects = version == "1.1" and fields.get(b"expect", b"").lower() == b"100-continue"
    return _declared(fields, version, limits), expects


def _is_served(name: str, hosts: frozenset[str]) -> bool:
    """True for a listed name, or one below a listed `*.` domain."""
    return name in hosts or any(host[0] == "*" and name.endswith(host[1:]) for host in hosts)


def too_large(limits: Limits) -> TooLarge:
    """The refusal of a body over the limit, declared or counted."""
    return TooLarge(f"The body is over the limit of {limits.body_bytes} bytes; send a smaller one")


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str:
    """Return the name of a Host header without its port, in lower case. Raises BadRequest (case 10)."""
    match = _HOST.fullmatch(host)
    if match is None:
        raise BadRequest("The Host header is not a host name or address with an optional port")
    return match[1].decode("ascii").lower()


@lru_cache(maxsize=1024)
def decode_path(raw: bytes) -> str:
    """Return the percent-decoded path of a target. Raises BadRequest where two readers could differ.

    Refused: absolute and authority forms, `*`, a leading `//`, backslashes and encoded slashes, dot
    segments in any spelling, double encoding, and anything that is not visible ASCII (cases 11, 12).
    """
    if not raw.startswith(b"/") or raw.startswith(b"//"):
        raise BadRequest("The target must be a path that starts with one slash")
    lowered = raw.lower()
    if b"\\" in raw or b"%2f" in lowered or b"%5c" in lowered:
        raise BadRequest("The path holds a backslash or an encoded slash")
    path = unquote_to_bytes(raw)
    if b"%" in path or path.translate(None, _VISIBLE):
        raise BadRequest("The path must be visible ASCII, percent-encoded at most once")
    if not {b".", b".."}.isdisjoint(path.split(b"/")):
        raise BadRequest("The path holds a `.` or `..` segment; send it resolved")
    return path.decode("ascii")


def _declared(fields: dict[bytes, bytes], version: str, limits: Limits) -> int:
    length = fields.get(b"content-length")
    transfer = fields.get(b"transfer-encoding")
    if transfer is not None:
        if length is not None:
            raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
        if version == "1.0" or transfer.lower() != b"chunked":
            raise UnsupportedTransfer("The only Transfer-Encoding read here is `chunked`, in HTTP/1.1")
        return CHUNKED
    if length is None:
        return 0
    declared = int(length)
    if declared > limits.body_bytes:
        raise too_large(limits)
    return declared


def _check_repeats(headers: Headers) -> None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and name in SINGLE:
            raise BadRequest(f"The header {name.decode('ascii')} stands twice")
        seen.add(name)
