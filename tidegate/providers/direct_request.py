"""The head of a request as bytes, and where it goes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields of one connection or of the framing: a caller's are left out."""
_MAX_NAMES = 2048
_prefixes: dict[str, str] = {}

Origin = tuple[bool, str, int]
"""Whether TLS, host, port."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in parts. `line` follows the method: path, version and what every call to it says."""

    origin: Origin
    line: bytes


@lru_cache(maxsize=1024)
def target(url: str) -> Target:
    """Take a URL apart. Raises ValueError, without the URL in its text."""
    try:
        parsed = URL(url)
        tls, host, port = parsed.scheme == "https", parsed.raw_host, parsed.port
        authority = parsed.host_port_subcomponent
        path = parsed.raw_path_qs
    except ValueError:
        raise ValueError("not a URL") from None
    if parsed.scheme not in ("http", "https") or not host or not port or authority is None:
        raise ValueError("not a URL of http or https with a host")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise ValueError("a URL with a user or a password")
    line = f" {path} HTTP/1.1\r\nhost: {authority}\r\naccept-encoding: identity\r\n"
    if not line.isascii() or len(line.split()) != 6 or line.count("\r") != 3 or line.count("\n") != 3:
        raise ValueError("not a URL of http or https with a host")
    return Target((tls, host, port), line.encode())


def request_head(method: bytes, to: Target, headers: Mapping[str, str], body_bytes: int | None) -> bytes:
    """Return a head with its blank line. Raises ValueError for a field that would break it (case 14)."""
    fields: list[str] = []
    for name, value in headers.items():
        prefix = _prefixes.get(name)
        if prefix is None:
            prefix = _learn(name)
        if prefix:
            fields += (prefix, value, "\r\n")
    if body_bytes is not None:
        fields.append(f"content-length: {body_bytes}\r\n")
    text = "".join(fields)
    lines = (len(fields) + 2) // 3
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        raise ValueError("a header holds a control character")
    return b"%b%b%b\r\n" % (method, to.line, text.encode())


def _learn(name: str) -> str:
    """Return what stands before a field's value; empty where the field is ours to set."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("the name of a header is none")
    if len(_prefixes) >= _MAX_NAMES:
        _prefixes.clear()
    lower = name.lower()
    _prefixes[name] = prefix = "" if lower in _OURS else f"{name}: "
    return prefix
