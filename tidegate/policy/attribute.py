"""To whom a call belongs: the key first, then what the caller says, then what it looks like."""

import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from tidegate.model.identity import ATTRIBUTES, AttributeSource, Attribution, Key

MAX_VALUE = 128
MAX_TAGS = 16
MAX_TAG_NAME = 64
BAGGAGE_PREFIX = "tidegate."
HEADER_PREFIX = b"tidegate-"
MAX_BAGGAGE = 8192

_TAGS_HEADER = HEADER_PREFIX + b"tags"
_HEADER_NAMES = {HEADER_PREFIX + name.encode(): name for name in ATTRIBUTES}
_HEADERS_READ = frozenset({*_HEADER_NAMES, _TAGS_HEADER, b"baggage"})
_BODY_NAMES = frozenset(ATTRIBUTES)


def clean(value: str, limit: int = MAX_VALUE) -> str:
    """A label as it is kept: NFC, printable, trimmed, at most `limit` characters."""
    if value.isascii() and value.isprintable():
        return value.strip()[:limit]
    printable = "".join(ch for ch in value if ch.isprintable())
    return unicodedata.normalize("NFC", printable).strip()[:limit]


def header_values(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], str, str]:
    """The `tidegate-*` attributes among ASGI headers, the `tidegate-tags` text and the W3C baggage."""
    named: dict[str, str] = {}
    tags = baggage = ""
    for name, value in headers:
        if name not in _HEADERS_READ:
            continue
        if name == b"baggage":
            baggage = value[:MAX_BAGGAGE].decode("latin-1")
        elif name == _TAGS_HEADER:
            tags = _header_text(value)
        else:
            named[_HEADER_NAMES[name]] = _header_text(value)
    return named, tags, baggage


def _header_text(value: bytes) -> str:
    """UTF-8 where it is, else Latin-1; percent-encoding is undone, since many clients send ASCII alone."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return unquote(text) if "%" in text else text


def parse_tags(text: str) -> tuple[tuple[str, str], ...]:
    """`k=v, k2=v2` as pairs; at most 16, a name without a value is kept with an empty one."""
    pairs: dict[str, str] = {}
    for item in text.split(",")[: MAX_TAGS * 4]:
        name, _, value = item.partition("=")
        name = clean(name, MAX_TAG_NAME)
        if name and len(pairs) < MAX_TAGS:
            pairs[name] = clean(value)
    return tuple(pairs.items())


def parse_baggage(text: str) -> dict[str, str]:
    """The `tidegate.*` members of a W3C baggage header (W3C Baggage, section 3), percent-decoded."""
    found: dict[str, str] = {}
    for member in text.split(","):
        pair = member.split(";", 1)[0]
        name, separator, value = pair.partition("=")
        name = name.strip()
        if separator and name.startswith(BAGGAGE_PREFIX):
            attribute = name.removeprefix(BAGGAGE_PREFIX)
            if attribute in _BODY_NAMES:
                found[attribute] = unquote(value.strip())
    return found


def attribute(
    key: Key,
    *,
    headers: Mapping[str, str],
    tags: str = "",
    baggage: str = "",
    metadata: Mapping[str, str],
    metadata_user: str = "",
    automatic_feature: str,
) -> Attribution:
    """Pinned values win, then headers, baggage, the body's own fields, the key's defaults.

    A call whose feature nobody named gets `automatic_feature`, made from its fingerprint.
    """
    carried = parse_baggage(baggage) if baggage else {}
    values = dict(key.defaults)
    source: AttributeSource = "default" if "feature" in values else "fingerprint"
    layers: tuple[tuple[Mapping[str, str], AttributeSource], ...] = (
        (metadata, "body"),
        (carried, "baggage"),
        (headers, "header"),
        (key.pinned, "pinned"),
    )
    for layer, where in layers:
        if not layer:
            continue
        for name, said in layer.items():
            if name in _BODY_NAMES and (value := clean(said)):
                values[name] = value
                if name == "feature":
                    source = where
    if key.team and "team" not in values:
        values["team"] = key.team
    if metadata_user and "user" not in values:
        values["user"] = clean(metadata_user)
    if "feature" not in values:
        values["feature"] = automatic_feature
    return Attribution(**values, tags=parse_tags(tags) if tags else (), feature_source=source)
